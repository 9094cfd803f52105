"""Published tables, given as they are printed, come back in their order, rank sums and costs."""

from pathlib import Path

import pandas as pd
import pytest

from segbench.commands.execution import report

REFERENCE = Path(__file__).parent / "reference"
DATA_SETS = ["BTCV", "ACDC", "LiTS", "BraTS", "KiTS", "AMOS"]


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """The rows of table.csv of a comparison, by name, in the order of the methods."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides):
        assert report("compare", [*overrides, "output=out", "bootstraps=100"]) == 0, capsys.readouterr().err
        return pd.read_csv(tmp_path / "out" / "table.csv", index_col="row")

    return run


def test_the_residual_encoders_of_nnunet(compared):
    """Isensee et al. 2024 (arXiv 2404.09556): plain ranks on each data set, summed."""
    printed = pd.read_csv(REFERENCE / "nnunet_revisited.csv", index_col="method")
    expected = printed[DATA_SETS].rank(ascending=False, method="min").sum(axis=1).sort_values()
    table = compared(f"scores={REFERENCE / 'nnunet_revisited.csv'}", f"metric=[{','.join(DATA_SETS)}]", "better=larger")
    sums = table.loc["rank sum"][list(printed.index)]
    assert sums.astype(float).to_dict() == expected.to_dict()
    assert table.columns[2:].tolist()[:3] == ["MedNeXt L k5", "MedNeXt L k3", "nnU-Net ResEnc L"]
    assert table.columns[-1] == "A3DS SwinUNETR"


def test_glas_2015(compared):
    """Sirinukunwattana et al. 2017: three criteria on two parts; one printed sum does not follow from three digits."""
    printed = pd.read_csv(REFERENCE / "glas2015.csv", index_col="method")
    criteria = [column for column in printed if column != "rank_sum"]
    ways = ",".join(f"{c}:{'smaller' if 'hausdorff' in c else 'larger'}" for c in criteria)
    table = compared(f"scores={REFERENCE / 'glas2015.csv'}", f"metric=[{','.join(criteria)}]", f"better={{{ways}}}")
    sums = table.loc["rank sum"][list(printed.index)].astype(float)
    differing = sums[sums != printed["rank_sum"]]
    assert differing.to_dict() == {"Freiburg2": 23.0}
    assert table.columns[2:].tolist() == printed.index.tolist()


def test_the_architecture_table_with_its_costs(compared):
    costs = REFERENCE / "architecture_table_printed_ranks.csv"
    table = compared(
        f"scores={REFERENCE / 'architecture_table.csv'}", "better=larger", "ranking=tiers",
        "cuts=[0,0.0245,0.05,0.1,0.15]", f"costs={costs}",
    )  # fmt: skip
    printed = pd.read_csv(costs, index_col="row")
    rows = {
        "rank sum prostate": "rank_sum_prostate",
        "rank sum breast": "rank_sum_breast",
        "total rank sum": "rank_sum_total",
        "parameters": "parameters_millions",
        "run time (s)": "running_time_seconds",
    }
    for ours, theirs in rows.items():
        unit = 1e6 if theirs == "parameters_millions" else 1
        printed_values = (unit * printed.loc[theirs]).tolist()
        assert table.loc[ours][printed.columns].astype(float).tolist() == pytest.approx(printed_values)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("method,parameters\nA,1\n", "no costs of 'B'"),
        ("method,parameters\nA,1\nA,2\n", "method 'A' is there twice"),
        ("method,colour\nA,1\nB,2\n", "no column is a cost; known are parameters"),
        ("method,seconds\nA,1\nB,fast\n", "line 3: seconds is 'fast', not a number"),
    ],
)
def test_costs_that_cannot_be_read(tmp_path, monkeypatch, capsys, content, said):
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("class,A,B\nx,0.5,0.6\n")
    Path("costs.csv").write_text(content)
    assert report("compare", ["scores=scores.csv", "better=larger", "costs=costs.csv"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("comparison").exists()


def test_columns_of_a_table_of_methods(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("method,dice,hd95,kind\nA,0.5,10,CNN\nB,0.6,12,TF\n")
    for overrides, said in (
        (["better=larger"], "line 2: kind is 'CNN', not a number"),
        (["metric=[dice,iou]", "better=larger"], "metric=iou is not a column; there are method, dice, hd95, kind"),
        (
            ["metric=[dice,hd95]", "better={dice: larger}"],
            "metric 'hd95': not known whether larger or smaller is better",
        ),
    ):
        assert report("compare", ["scores=scores.csv", *overrides]) == 2
        assert said in capsys.readouterr().err
