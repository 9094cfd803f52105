"""The command `explain` on a small run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import segbench
from segbench.commands.execution import report
from tests.made_runs import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> segbench.Run:
    return segbench.train([*TINY, "logger=none", "trainer.max_steps=6"], tmp_path_factory.mktemp("explain") / "run")


def test_a_case_is_explained(run: segbench.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = list(run.cases["case"].unique())[:2]
    methods = "methods=[grad_cam,grad_cam_plus_plus,integrated_gradients,occlusion]"
    point = ("region=point", "point=[20,30]", "class=1")
    arguments = [f"run={run.path}", f"case=[{','.join(cases)}]", f"output={tmp_path / 'out'}", methods, *point]
    assert report("explain", arguments) == 0
    numbers = pd.read_csv(tmp_path / "out" / "explanation.csv")
    assert len(numbers) == 8
    assert numbers[["deletion", "insertion"]].notna().all(axis=None)
    filters = pd.read_csv(tmp_path / "out" / "filters.csv")
    assert set(filters["case"]) == set(cases)
    heat = np.load(tmp_path / "out" / f"{cases[0]}-grad_cam.npy")
    assert heat.shape == (96, 96)
    assert 0 <= heat.min() <= heat.max() <= 1
    page = (tmp_path / "out" / "explanation.html").read_text()
    assert page.count("<img") == 8
    assert all((tmp_path / "out" / f"{case}-occlusion.png").exists() for case in cases)
    assert "deletion" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "either case=ID or image=FILE"),
        (("case=nosuch",), "no such case"),
        (("case=FIRST", "class=nosuch"), "class=nosuch: the run has no such class; known are "),
        (("case=FIRST", "layer=encoder.9"), "the nearest are "),
        (("case=FIRST", "region=point", "point=[500,2]", "class=1"), "must lie in the image, whose size is"),
        (("case=FIRST", "region=point"), "region=point needs point"),
    ],
)
def test_what_is_not_there_is_one_line(
    run: segbench.Run, arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.replace("FIRST", run.cases["case"][0]) for argument in arguments]
    if "class=1" not in given and "layer=encoder.9" in given:
        given += ["region=point", "point=[1,1]", "class=1"]
    assert report("explain", [f"run={run.path}", f"output={tmp_path / 'out'}", *given]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
