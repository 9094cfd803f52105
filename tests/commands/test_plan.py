"""The command `plan`: from a fingerprint and from a data set."""

import gzip
import json
from pathlib import Path

import pytest
import yaml

from segbench.commands.execution import report
from segbench.planning.fingerprint import read_fingerprint

ROWS = json.loads(gzip.decompress((Path(__file__).parents[1] / "planning" / "nnunet_plans.json.gz").read_bytes()))


@pytest.fixture
def fingerprint(tmp_path):
    row = next(row for row in ROWS if row["name"] == "hippocampus")
    path = tmp_path / "fingerprint.json"
    path.write_text(json.dumps({key: value for key, value in row.items() if key != "plans"}))
    return path


def test_a_fingerprint_is_enough(fingerprint, tmp_path, capsys):
    output = tmp_path / "plan.json"
    assert report("plan", [f"fingerprint={fingerprint}", f"output={output}"]) == 0
    row = next(row for row in ROWS if row["name"] == "hippocampus")
    assert json.loads(output.read_text()) == row["plans"]["default"]
    said = capsys.readouterr().out.splitlines()
    assert len(said) <= 10
    assert "3d_fullres: patches of 56 x 40 x 40, 2 a batch, 4 stages of 32 to 256 channels" in "\n".join(said)
    assert report("plan", [f"fingerprint={fingerprint}", "planner=nnunet_residual_m", f"output={output}"]) == 0
    assert json.loads(output.read_text()) == row["plans"]["residual_M"]


def test_a_data_set_gets_both_files(tmp_path, capsys):
    settings = ["data.dataset.cases=6", "data.dataset.size=[96,128]", f"data.cache={tmp_path / 'cache'}"]
    assert report("plan", ["data=synthetic_cells", *settings, f"output={tmp_path / 'made'}", "memory_gb=4"]) == 0
    plan = yaml.safe_load((tmp_path / "made" / "plan.yaml").read_text())
    assert plan["memory_gb"] == 4
    assert plan["configurations"]["2d"]["patch_size"] == [96, 128]
    found = read_fingerprint(tmp_path / "made" / "fingerprint.json")
    assert (found.cases, found.shapes[0], found.classes) == (6, (96, 128), 4)
    assert "nothing is planned in 3D" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give data=NAME or fingerprint=FILE.json, and not both"),
        (["data=synthetic_cells", "fingerprint=f.json"], "and not both"),
        (["fingerprint=nowhere.json"], "fingerprint=nowhere.json: cannot be read as JSON: No such file"),
        (["fingerprint={f}", "memory_gb=0"], "memory_gb=0: must be "),
        (["fingerprint={f}", "output={f}"], "is a file that is no plan, and is not written over"),
        (["fingerprint={f}", "planner=nnunett"], "nnunett"),
    ],
)
def test_mistakes_are_one_line(arguments, message, fingerprint, capsys):
    before = fingerprint.read_text()
    assert report("plan", [argument.format(f=fingerprint) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert fingerprint.read_text() == before
