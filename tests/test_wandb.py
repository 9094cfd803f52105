"""What W&B was really told, read back from its offline file."""

import json
import time
from pathlib import Path

import pytest
from wandb.proto import wandb_internal_pb2

from segbench.loggers.wandb import flatten
from segbench.module import SegmentationModule
from tests.runs import TINY, execute
from tests.wandb_files import read_records

OFFLINE = (*(one for one in TINY if one != "logger=csv"), "logger=wandb", "trainer.log_every=1")


def read_back(folder: Path) -> list[wandb_internal_pb2.Record]:
    """All records of the one offline run in a folder."""
    (path,) = folder.glob("*.wandb")
    for _ in range(50):  # wandb's own process may still be writing
        records = read_records(path)
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            break
        time.sleep(0.2)
    return records


def history(records):
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    path = tmp_path_factory.mktemp("group") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE", raising=False)
        directory = execute(path, *OFFLINE, tiny=False)
    (folder,) = (path / "wandb").glob("offline-run-*")
    return directory, read_back(folder)


def test_the_run_is_described(offline):
    directory, records = offline
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert run.run_id == directory.record["wandb_id"]
    assert run.project == "segbench"
    assert run.display_name == "test"
    assert run.run_group == directory.path.parent.name
    assert run.job_type == "train"
    assert "model:unet_small" in run.tags
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["trainer.max_steps"] == 4
    assert config["data.patch_size"] == [32, 32]
    assert not [key for key in config if "_target_" in key]


def test_curves_and_pictures_are_there(offline):
    _, records = offline
    rows = history(records)
    assert [row["train/loss"] for row in rows if "train/loss" in row]
    assert len([row for row in rows if "validation/dice" in row]) == 2
    pictures = {key.split("/")[1] for row in rows for key in row if key.startswith("pictures/")}
    assert pictures == {"best", "median", "worst", "curves"}


def test_the_summary_has_scores_per_class_and_cost(offline):
    directory, records = offline
    summary = {}
    for record in records:
        if record.WhichOneof("record_type") == "summary":
            summary |= {item.key: json.loads(item.value_json) for item in record.summary.update}
    assert summary["cost/parameters"] == directory.record["cost"]["parameters"]
    assert "test/dice/round" in summary
    assert "test/dice" in summary


def test_the_cases_are_an_artifact(offline):
    _, records = offline
    artifacts = []
    for record in records:
        if record.WhichOneof("record_type") == "artifact":
            artifacts.append(record.artifact)
        elif record.WhichOneof("record_type") == "request" and record.request.HasField("log_artifact"):
            artifacts.append(record.request.log_artifact.artifact)
    files = {entry.path for artifact in artifacts for entry in artifact.manifest.contents}
    assert {"cases.csv", "run.json", "config.yaml", "split.json"} <= files


def test_the_run_is_closed_as_finished(offline):
    _, records = offline
    (exit_,) = [record.exit for record in records if record.WhichOneof("record_type") == "exit"]
    assert exit_.exit_code == 0


def test_a_failed_run_is_closed_as_failed_and_continues_under_the_same_id(tmp_path, monkeypatch):
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "test_step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            execute(path, *OFFLINE, tiny=False)
    (first,) = (path / "wandb").glob("offline-run-*")
    (exit_,) = [record.exit for record in read_back(first) if record.WhichOneof("record_type") == "exit"]
    assert exit_.exit_code == 1
    directory = execute(path, *OFFLINE, tiny=False)
    ids = set()
    for folder in (path / "wandb").glob("offline-run-*"):
        ids |= {record.run.run_id for record in read_back(folder) if record.WhichOneof("record_type") == "run"}
    assert ids == {directory.record["wandb_id"]}


def test_wandb_mode_goes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    execute(tmp_path, *OFFLINE, tiny=False)
    assert not list((tmp_path / "wandb").glob("offline-run-*"))


def test_flatten_leaves_classes_out():
    config = {"model": {"_target_": "x", "norm": "batch", "net": {"depth": 3}}, "seed": 0, "empty": {}}
    assert flatten(config) == {"model.norm": "batch", "model.net.depth": 3, "seed": 0}
