"""The command `power` on the runs of a pilot."""

import pytest

from segbench.commands.execution import report
from tests.compare.fake_runs import make_sweep

QUALITIES = {("a", "x"): 0.80, ("b", "x"): 0.79, ("c", "x"): 0.5}


def lines_of(text):
    return [
        [cell.strip() for cell in line.strip("│ ").split("│")] for line in text.splitlines() if line.startswith("│")
    ]


def test_plans_from_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    make_sweep(tmp_path, QUALITIES, seeds=(0, 1, 2))
    assert report("power", [f"runs={tmp_path}", "difference=0.005"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("wbc, dice: 12 cases, SD")
    assert "SD between seeds" in text
    plans = lines_of(text)
    assert [plan[:3] for plan in plans[:4]] == [[str(seeds), "1", "12"] for seeds in (1, 3, 5, 10)]
    assert plans[4][1:3] == ["5", "60"]
    found = [float(plan[3]) for plan in plans[:4]]
    assert found == sorted(found, reverse=True)
    hours = [float(plan[5]) for plan in plans]
    assert hours[5] == pytest.approx(15 * hours[0])


def test_one_seed_is_said_and_a_spread_can_be_assumed(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    make_sweep(tmp_path, QUALITIES, seeds=(0,))
    assert report("power", [f"runs={tmp_path}", "difference=0.005", "folds=[1]"]) == 0
    alone = capsys.readouterr().out
    assert "one seed of each in the pilot, so this is of its trained networks" in alone
    assert report("power", [f"runs={tmp_path}", "difference=0.005", "folds=[1]", "seed_sd=0.02"]) == 0
    spread = capsys.readouterr().out
    assert "note" not in spread
    assert float(lines_of(spread)[1][3]) > float(lines_of(alone)[1][3])


def test_plans_from_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    table = tmp_path / "scores.csv"
    rows = [f"{method},{case},{0.8 + 0.01 * case + shift * case % 3:.3f}" for method, shift in (("a", 1), ("b", 2))
            for case in range(5)]  # fmt: skip
    table.write_text("method,case,value\n" + "\n".join(rows) + "\n")
    assert report("power", [f"scores={table}", "difference=0.1"]) == 0
    plans = lines_of(capsys.readouterr().out)
    assert {plan[1] for plan in plans} == {"1"}  # nothing is known of further cases
    assert {plan[5] for plan in plans} == {"–"}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["difference=0.1"], "say what the pilot is: either runs=DIR or scores=FILE"),
        (["runs={runs}"], "difference is not set"),
        (["runs={runs}", "difference=0.1", "metric=iou"], "metric=iou: data set 'wbc' has no such scores"),
    ],
)
def test_one_line_where_it_cannot_be_planned(tmp_path, capsys, overrides, said):
    make_sweep(tmp_path, QUALITIES, seeds=(0,))
    assert report("power", [override.format(runs=tmp_path) for override in overrides]) == 2
    assert said in capsys.readouterr().err
