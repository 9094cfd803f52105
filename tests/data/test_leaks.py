"""The same image in training and test is named by prepare, the run, its record and the comparison."""

import json
import logging
import shutil

import pytest

from segbench.compare.reading.methods import Rules, load_runs
from segbench.data.configured import open_dataset
from segbench.data.leaks import leaks
from segbench.data.splits import Split
from tests.compare.fake_runs import make_run
from tests.data_sets import folder
from tests.made_runs import TINY, configure, execute


@pytest.fixture
def data(tmp_path):
    """Eight cases, of which case7 is case0 under another name."""
    folder(tmp_path / "data")
    for kind in ("images", "masks"):
        shutil.copy(tmp_path / "data" / kind / "case0.png", tmp_path / "data" / kind / "case7.png")
    return ("data=folder", f"data.root={tmp_path / 'data'}", f"data.cache={tmp_path / 'cache'}")


def test_only_what_is_tested_and_known_is_a_leak(data):
    _, store = open_dataset(configure(*data).data)
    assert leaks(store, Split(("case0", "case1"), ("case2",), ("case3", "case7"))) == {"case7": "case0"}
    assert leaks(store, Split(("case1",), ("case0",), ("case7",))) == {"case7": "case0"}
    assert leaks(store, Split(("case0", "case7"), ("case1",), ("case2",))) == {}
    assert leaks(store, Split(("case1",), ("case2",), ("case0", "case7"))) == {}


def test_a_run_says_and_records_it(data, tmp_path, caplog):
    parts = {"train": ["case0", "case1", "case2"], "validation": ["case3"], "test": ["case4", "case7"]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    settings = [setting for setting in TINY if not setting.startswith("data.dataset")]
    with caplog.at_level(logging.WARNING):
        run = execute(
            tmp_path / "run",
            *settings,
            *data,
            f"split.file={tmp_path / 'split.json'}",
            "trainer.max_steps=1",
            tiny=False,
        )
    said = "1 of 2 test cases have the image of a training or validation case, such as case7 that of case0"
    assert said in caplog.text
    assert run.record["dataset"]["leaks"] == {"case7": "case0"}


def test_a_comparison_notes_it(tmp_path):
    paths = [make_run(tmp_path, choices={"model": "unet", "loss": loss}, quality=0.8) for loss in ("dice", "focal")]
    for path in paths:
        record = json.loads((path / "run.json").read_text())
        record["dataset"]["leaks"] = {"wbc_00": "wbc_40"}
        (path / "run.json").write_text(json.dumps(record))
    notes = load_runs(paths, Rules()).notes
    assert [note for note in notes if "1 of 12 test cases have the image" in note and note.startswith("wbc, fold 0")]
