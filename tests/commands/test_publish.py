"""Uploading to W&B what was recorded without it: once, whole and continuous; the server is one on loopback."""

import io
import json
import re
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
import wandb
from rich.console import Console

from segbench.commands.compare import compare_sweep
from segbench.commands.publish import publish
from segbench.errors import Stopped, UserError
from segbench.runs.uploads import CONTENT, NOTE, Destination, digest, write_note
from segbench.system.lock import FileLock
from tests.compare.fake_runs import QUALITIES, make_sweep
from tests.fake_wandb import KEY, forget, online
from tests.loggers.test_wandb_online import ONLINE, lost_at, received, stopped_at, table
from tests.made_runs import TINY, configure, execute
from tests.wandb_files import read_records

OFFLINE = tuple(one.replace("mode=online", "mode=offline") for one in ONLINE)


@pytest.fixture
def server(tmp_path):
    with online(tmp_path / "home") as fake:
        yield fake


def call(folder: Path, *overrides: str) -> str:
    """What the command prints."""
    text = io.StringIO()
    config = configure(f"runs={folder}", "start_timeout=3", "close_timeout=5", *overrides, command="publish")
    try:
        publish(config, Console(file=text, width=400))
    except UserError as error:
        return f"{text.getvalue()}exit code 2: {error}"
    return text.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, one that was continued after steps that its checkpoint lacks, and one that was stopped."""
    folder = tmp_path_factory.mktemp("made") / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE", raising=False)
        execute(folder / "plain", *TINY, "trainer.log_every=1", tiny=False)
        for name, seed in (("continued", 1), ("stopped", 2)):
            with stopped_at(3), pytest.raises(Stopped):
                execute(folder / name, *OFFLINE, f"seed={seed}", tiny=False)
        execute(folder / "continued", *OFFLINE, "seed=1", tiny=False)
    wandb.teardown()
    return folder


@pytest.fixture
def sweep(made, tmp_path):
    """A copy of them."""
    return Path(shutil.copytree(made, tmp_path / "sweep"))


def record(path: Path) -> dict:
    return json.loads((path / "run.json").read_text())


def test_each_step_arrives_once_whatever_recorded_the_run(sweep, server):
    # What makes it worth a test: wandb's own offline files have step 3 twice.
    files = sorted((sweep / "continued" / "wandb").glob("offline-run-*/*.wandb"))
    steps = [
        item.value_json
        for file in files
        for one in read_records(file)
        if one.WhichOneof("record_type") == "history"
        for item in one.history.item
        if item.key == "_step" or list(item.nested_key) == ["_step"]
    ]
    assert steps.count("3") == 2

    assert "3 uploaded" in call(sweep)
    assert set(server.runs) == {record(sweep / name)["wandb_id"] for name in ("plain", "continued", "stopped")}
    for name, state in (("plain", "finished"), ("continued", "finished"), ("stopped", "failed")):
        run = server.runs[record(sweep / name)["wandb_id"]]
        assert received(run) == table(sweep / name)
        assert run.posted == len(run.history)
        assert run.state == state
        assert (run.created["displayName"], run.created["groupName"], run.created["jobType"]) == (
            "test", "sweep", "train",
        )  # fmt: skip
        assert json.loads(run.created["config"])["model"] == {"value": "unet_small"}
    cases = pd.read_csv(sweep / "plain" / "cases.csv").query("metric == 'dice'")
    plain = server.runs[record(sweep / "plain")["wandb_id"]]
    assert plain.summary["test/dice"] == pytest.approx(cases.groupby("class")["value"].mean().mean())
    assert plain.summary["cost/parameters"] == record(sweep / "plain")["cost"]["parameters"]
    artifact = server.artifacts[f"cases-{record(sweep / 'plain')['wandb_id']}"]
    assert artifact.committed
    assert artifact.files["cases.csv"] == (sweep / "plain" / "cases.csv").read_bytes()
    assert record(sweep / "plain")["wandb_url"].startswith(server.address)


def test_a_second_call_uploads_nothing_and_a_stopped_run_is_completed_later(sweep, server, monkeypatch):
    call(sweep)
    asked = server.asked
    assert call(sweep) == "W&B: 3 already there\n"
    assert server.asked == asked
    execute(sweep / "stopped", *OFFLINE, "seed=2", tiny=False)
    assert call(sweep) == "W&B: 1 uploaded, 2 already there\n"
    run = server.runs[record(sweep / "stopped")["wandb_id"]]
    assert received(run) == table(sweep / "stopped")
    assert run.posted == len(run.history)
    assert run.state == "finished"


def test_a_lost_note_costs_nothing_but_time(sweep, server):
    """As where the command is killed between the end of an upload and the note of it."""
    call(sweep)
    before = {name: run.posted for name, run in server.runs.items()}
    for note in sweep.rglob("published.json"):
        note.unlink()
    call(sweep)
    assert {name: run.posted for name, run in server.runs.items()} == before


def test_it_goes_on_after_the_network_was_lost(sweep, server):
    server.limit = 2
    said = call(sweep, "at_once=1")
    assert "exit code 2: " in said
    assert re.search(r"W&B is not there any more: [12] more are left", said)
    server.limit, server.health = None, "well"
    forget()  # another process
    assert "could not" not in call(sweep)
    for name in ("plain", "continued", "stopped"):
        assert received(server.runs[record(sweep / name)["wandb_id"]]) == table(sweep / name)


@pytest.mark.slow  # waits for what W&B gives up after
def test_a_run_that_lost_its_network_is_completed(tmp_path, server):
    with lost_at(3, server):
        directory = execute(tmp_path / "run", *ONLINE, tiny=False)
    assert 0 < len(server.only().history) < 4
    server.health = "well"
    forget()  # another process
    assert call(tmp_path / "run") == "W&B: 1 uploaded\n"
    assert received(server.only()) == table(directory.path)
    assert server.only().state == "finished"


def test_what_was_online_is_not_uploaded_again(tmp_path, server):
    execute(tmp_path / "run", *ONLINE, tiny=False)
    starts = server.only().starts
    assert call(tmp_path / "run") == "W&B: 1 already there\n"
    assert server.only().starts == starts


def test_what_cannot_be_uploaded_is_named_and_the_rest_is_uploaded(sweep, server):
    (sweep / "plain" / "config.yaml").write_text("{")
    shutil.copytree(sweep / "continued", sweep / "copy")
    lock = FileLock(sweep / "stopped" / ".lock")
    assert lock.acquire() is None
    said = call(sweep)
    lock.release()
    assert f"{sweep / 'plain'}: config.yaml: is damaged" in said
    assert "is the same W&B run" in said
    assert f"{sweep / 'stopped'}: is going on" in said
    assert "W&B: 1 uploaded, 1 left for later" in said
    assert "exit code 2: 2 could not be uploaded" in said


def test_offline_in_the_environment_does_not_hinder_it(sweep, server, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert "3 uploaded" in call(sweep)


def test_without_a_server_nothing_is_uploaded(sweep, server):
    server.health = "gone"
    assert "cannot be reached within 3 s: nothing was uploaded" in call(sweep)


def test_the_key_is_written_nowhere(sweep, server):
    call(sweep)
    assert not [path for path in sweep.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_the_comparison_is_published_once_and_again_when_it_changes(tmp_path, server):
    folder = tmp_path / "nightly"
    make_sweep(folder, QUALITIES)
    compare_sweep(folder, configure("bootstraps=200", command="compare"))
    call(folder)
    (run,) = [run for run in server.runs.values() if run.created["jobType"] == "compare"]
    assert run.created["groupName"] == "nightly"
    ranks = pd.read_csv(folder / "comparison" / "ranks.csv")
    shown = json.loads(run.files[run.history[0]["ranks"]["path"]])
    assert len(shown["data"]) == len(ranks)
    assert run.files[run.history[0]["report"]["path"]] == (folder / "comparison" / "report.html").read_bytes()
    call(folder)
    assert len(run.history) == 1
    compare_sweep(folder, configure("bootstraps=300", command="compare"))
    call(folder)
    assert len([run for run in server.runs.values() if run.created["jobType"] == "compare"]) == 1
    assert len(run.history) == 2


def test_a_hundred_runs_that_are_there_take_less_than_a_second(made, tmp_path):
    for number in range(100):
        path = Path(shutil.copytree(made / "plain", tmp_path / f"{number}"))
        (path / "run.json").write_text(json.dumps(record(path) | {"wandb_id": f"{number}"}))
        content = digest("finished", [path / name for name in CONTENT])
        write_note(path / NOTE, content, Destination(), "https://elsewhere", "", f"{number}")
    start = time.monotonic()
    assert call(tmp_path) == "W&B: 100 already there\n"
    assert time.monotonic() - start < 1
