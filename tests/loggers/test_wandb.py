"""What W&B was really told, read back from its offline file."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from segbench.loggers.wandb import Wandb
from segbench.loggers.wandb_run import columns
from segbench.runs.directory import RunDirectory
from segbench.training.module import SegmentationModule
from tests.fake_wandb import KEY
from tests.made_runs import TINY, execute
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
    assert (config["model"], config["loss"]) == ("unet_small", "dice_ce")
    assert config["trainer/max_steps"] == 4
    assert config["data/patch_size"] == [32, 32]
    assert config["run"] == directory.record["id"]
    assert not [key for key in config if "_target_" in key or "." in key]
    assert all(value not in (None, [], {}) for key, value in config.items() if key != "_wandb")
    assert not [value for value in config.values() if isinstance(value, str) and value.startswith(("/", "~"))]


def test_a_step_is_an_optimizer_step(offline):
    """As metrics.csv has it, which another logger writes."""
    directory, records = offline
    logged = {}
    for row in history(records):
        values = {key: value for key, value in row.items() if not key.startswith(("_", "pictures/"))}
        if values:
            assert row["_step"] not in logged
            logged[row["_step"]] = values
    table = pd.read_csv(directory.path / "metrics.csv").set_index("step")
    assert logged == {step: row.dropna().to_dict() for step, row in table.iterrows()}


def test_curves_and_pictures_are_there(offline):
    _, records = offline
    rows = history(records)
    assert [row["train/loss"] for row in rows if "train/loss" in row]
    assert len([row for row in rows if "validation/dice" in row]) == 2
    pictures = {key.split("/")[1] for row in rows for key in row if key.startswith("pictures/")}
    assert pictures == {"best", "median", "worst", "curves", "confusion"}


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


def test_the_columns_of_a_run():
    record = {
        "id": "abc",
        "choices": {"model": "unet", "logger": "wandb"},
        "git": {"commit": "0" * 40, "dirty": False},
        "hardware": {"gpus": ["H100", "H100"], "processor": "EPYC"},
    }
    config = {
        "model": {"_target_": "x", "norm": "batch", "net": {"depth": 3}, "act": None},
        "loss": {"weight": 1.0},
        "task": {
            "objective": {"mask": {"loss": {"weight": 1.0}, "weight": 2.0}},
            "targets": {"mask": {"_target_": "hydra.utils.get_method", "path": "a.b"}},
        },
        "data": {"root": "/data", "workers": 2, "dataset": {"root": "/data", "cases": 5}},
        "metrics": {"classes": {"hd95": {"mode": "max"}}},
        "initial_weights": "/home/me/runs/cells/unet-1234",
        "seed": 0,
        "empty": {},
        "logger": {"wandb": {"mode": "offline"}},
    }
    assert columns(config, record) == {
        "model": "unet",
        "run": "abc",
        "commit": "0" * 12,
        "device": "H100",
        "model/norm": "batch",
        "model/net/depth": 3,
        "loss/weight": 1.0,
        "task/objective/mask/weight": 2.0,
        "data/dataset/cases": 5,
        "initial_weights": "unet-1234",
        "seed": 0,
    }


def bare_run(path: Path, number: int) -> RunDirectory:
    """A directory with no more than W&B's logger asks for."""
    path.mkdir(parents=True)
    record = {"id": f"{number}", "name": f"run {number}", "wandb_id": f"{number:016x}", "choices": {"model": "unet"}}
    (path / "run.json").write_text(json.dumps(record))
    return RunDirectory(path)


def children(name: str) -> list[str]:
    """Processes of a name that this process has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = re.match(r"\d+ \((.*)\) \S+ (\d+)", entry.read_text())
        except OSError:
            continue
        if fields and fields[2] == str(os.getpid()) and fields[1].startswith(name):
            found.append(entry.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts processes and files as Linux shows them")
def test_many_runs_in_one_process_leak_nothing_and_cost_little(tmp_path):
    def one(number: int) -> None:
        logger = Wandb(bare_run(tmp_path / "sweep" / f"{number}", number), {"seed": number})
        logger.log_metrics({"train/loss": 1.0}, step=0)
        logger.close(failed=False)

    def state() -> tuple[int, int, int]:
        return len(children("wandb-core")), len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    one(0)
    before, start = state(), time.monotonic()
    assert before[0] == 1
    for number in range(1, 21):
        one(number)
    assert (time.monotonic() - start) / 20 < 0.3
    assert state() == before
    assert len(list(tmp_path.glob("sweep/*/wandb/offline-run-*/*.wandb"))) == 21
    wandb.teardown()
    assert not children("wandb-core")


SECRETS = {
    "WANDB_API_KEY": KEY,
    "SLURM_JOB_CREDENTIAL": "slurm-secret-1f6b",
    "HF_TOKEN": "hf_secret_88ac",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-00de",
}


def secrets_in(folder: Path, *outputs: str) -> list[tuple[str, str]]:
    """Where a secret stands: any file below a folder, the records of W&B's offline files, what was printed."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    texts = {str(path): path.read_bytes() for path in files}
    texts |= {f"{path}, decoded": str(read_records(path)).encode() for path in files if path.suffix == ".wandb"}
    texts |= {"output": "".join(outputs).encode()}
    names = ("SLURM_JOB_CREDENTIAL", "HF_TOKEN")  # of W&B's own settings, the names alone are no harm
    return [
        (name, word) for name, text in texts.items() for word in (*SECRETS.values(), *names) if word.encode() in text
    ]


def test_secrets_of_the_environment_are_written_nowhere(tmp_path, monkeypatch):
    """Neither by segbench nor in W&B's own files and logs."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    wandb.teardown()  # it reads the environment once in a process
    try:
        execute(tmp_path / "run", *OFFLINE, tiny=False)
    finally:
        wandb.teardown()
    assert len(list((tmp_path / "run").rglob("*.wandb"))) == 1
    assert not secrets_in(tmp_path)
    (tmp_path / "run" / "trap").write_text(KEY)
    assert secrets_in(tmp_path)


@pytest.mark.slow
def test_secrets_are_written_nowhere_in_a_sweep(tmp_path):
    command = [
        sys.executable,
        "-m",
        "segbench",
        *OFFLINE,
        "loss=dice,dice_ce",
        "-m",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    ]
    environment = {**os.environ, **SECRETS, "WANDB_MODE": "offline", "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob("*.wandb"))) == 3  # with that of the comparison
    assert not secrets_in(tmp_path, done.stdout, done.stderr)
