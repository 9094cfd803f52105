"""segbench from Python: the same as the commands."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import segbench
from segbench.runs.directory import read_cases
from tests.made_runs import TINY


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[segbench.Run]:
    """A sweep of two learning rates in a folder whose name Hydra would not read unquoted."""
    folder = tmp_path_factory.mktemp("api") / "it's a sweep (1)"
    found = segbench.sweep([*TINY, "logger=none", "optimizer.lr=1e-2,1e-5"], folder)
    assert (folder / "comparison" / "report.html").exists()
    return found


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Scores of two methods on eight cases: `a` is ahead by 0.1 on each."""
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 0.8, 8)
    rows = [
        (method, f"case{case}", base[case] + gain) for method, gain in (("a", 0.1), ("b", 0.0)) for case in range(8)
    ]
    return pd.DataFrame(rows, columns=["method", "case", "value"])


def test_a_sweep_gives_its_runs(runs: list[segbench.Run]) -> None:
    assert [run.status for run in runs] == ["finished", "finished"]
    assert {run.config["optimizer"]["lr"] for run in runs} == {1e-2, 1e-5}


def test_a_run_is_trained_once(runs: list[segbench.Run]) -> None:
    before = (runs[0].path / "run.json").stat().st_mtime_ns
    again = segbench.train([*TINY, "logger=none", f"optimizer.lr={runs[0].config['optimizer']['lr']}"], runs[0].path)
    assert (again.path / "run.json").stat().st_mtime_ns == before
    assert again.path == runs[0].path


def test_scores_are_those_of_the_file(runs: list[segbench.Run]) -> None:
    run = segbench.load(runs[0].path)
    cases = read_cases(run.path / "cases.csv")
    dice = cases[cases["metric"] == "dice"].groupby("class")["value"].mean()
    assert run.scores["dice"].to_dict() == pytest.approx(dice.to_dict())
    assert run.scores.to_html(float_format="{:.3f}".format) in run._repr_html_()


def test_a_file_and_its_array_are_predicted_alike(runs: list[segbench.Run], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    run = runs[0]
    channels = run.config["measured"]["image_channels"]
    array = np.repeat(pixels[None], channels, axis=0)
    from_file = run.predict(tmp_path / "a.png")
    assert from_file.shape == (40, 50)
    np.testing.assert_array_equal(from_file, run.predict(array))
    stack = run.predict(np.stack([array, array], axis=1))
    np.testing.assert_array_equal(stack, np.stack([from_file, from_file]))
    with pytest.raises(segbench.UserError, match="channel"):
        run.predict(np.zeros((channels + 1, 8, 8)))


def test_a_run_scored_again_has_its_scores(runs: list[segbench.Run]) -> None:
    before = read_cases(runs[0].path / "cases.csv")["value"].to_numpy()
    np.testing.assert_allclose(runs[0].evaluate()["value"].to_numpy(), before, atol=1e-6)


def test_runs_are_compared_as_by_the_command(runs: list[segbench.Run], tmp_path: Path) -> None:
    comparison = segbench.compare(runs, bootstraps=200)
    of_command = pd.read_csv(runs[0].path.parent / "comparison" / "scores.csv")
    assert comparison.methods == list(dict.fromkeys(segbench.compare(runs[0].path.parent, bootstraps=200).methods))
    table = comparison.table()
    assert table["score"].to_numpy(float) == pytest.approx(of_command["score"].to_numpy(float), nan_ok=True)
    assert not list(tmp_path.iterdir())
    page = comparison.report(tmp_path / "out")
    assert page.read_text().count(comparison.methods[0]) > 1


def test_a_table_of_scores(frame: pd.DataFrame, tmp_path: Path) -> None:
    comparison = segbench.compare(frame, better="larger", bootstraps=500)
    assert comparison.methods == ["a", "b"]
    assert comparison.verdict in str(comparison)
    assert "<table" in comparison._repr_html_()
    pair = comparison.pairwise().iloc[0]
    assert pair["difference"] == pytest.approx(0.1)
    comparison.report(tmp_path / "scores")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scores-scores.csv"), frame)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"rankin": "mean"}, "rankin: there is no such setting"), ({"ranking": 3}, "ranking=3"),
     ({"output": "x"}, "output"), ({}, "better")],
)  # fmt: skip
def test_impossible_settings_are_one_line(frame: pd.DataFrame, settings: dict, said: str) -> None:
    with pytest.raises(segbench.UserError, match=said):
        segbench.compare(frame, **settings)


def test_what_cannot_be_trained_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(segbench.UserError, match=r"trainer\.max_steps=-1"):
        segbench.train(["trainer.max_steps=-1"], tmp_path / "a" / "b")
    with pytest.raises(segbench.UserError, match="sweep"):
        segbench.train(["seed=0,1", "-m"])
    with pytest.raises(segbench.UserError, match="no run directory"):
        segbench.load(tmp_path)
    assert not list(tmp_path.iterdir())


def test_importing_segbench_imports_nothing_else() -> None:
    code = (
        "import sys, segbench; dir(segbench); before = set(sys.modules) & {'torch', 'pandas', 'hydra', 'numpy'}\n"
        "import pandas as pd\n"
        "frame = pd.DataFrame({'method': list('aabb'), 'case': list('xyxy'), 'value': [1, 2, 0, 1]})\n"
        "segbench.compare(frame, better='larger', bootstraps=100)\n"
        "import segbench.compare; segbench.compare(frame, better='larger', bootstraps=100)\n"
        "print(before, 'torch' in sys.modules, segbench.compare.rank.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set() False rank"


def test_every_public_name_is_there_and_documented() -> None:
    for name in segbench.__all__:
        assert name in dir(segbench)
        assert name == "__version__" or getattr(segbench, name).__doc__
    for kind in (segbench.Run, segbench.Comparison):
        public = [name for name in vars(kind) if not name.startswith("_") and callable(getattr(kind, name))]
        assert all(getattr(kind, name).__doc__ for name in public)
