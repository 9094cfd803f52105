"""What the runs of a sweep are doing, read from directories in every state that a crash can leave."""

import errno
import fcntl
import io
import json
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from segbench.commands.status import show_status
from segbench.commands.status import status as command
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.runs.progress import Progress, read_progress, seconds_left, with_full_disks
from segbench.runs.sweep_record import add_asked, read_waiting, write_waiting
from segbench.sweeps.job import Job
from tests.made_runs import configure

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_run(folder: Path, name: str, **record: object) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    facts = {"id": "0", "name": name, "started": START.isoformat(), "budget": {"max_steps": 100}}
    (path / "run.json").write_text(json.dumps(facts | record))
    return path


def test_running_is_told_from_killed_by_the_lock(tmp_path):
    path = make_run(tmp_path, "a", status="running")
    assert read_progress(path).state == "stopped"
    with (path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_progress(path).state == "running"
    assert read_progress(path).state == "stopped"


def test_looking_does_not_disturb_a_run_that_starts(tmp_path):
    """A lock that is free again at once is waited for."""
    path = make_run(tmp_path, "a", status="running", id="x")
    (path / ".lock").touch()
    handle = (path / ".lock").open()
    fcntl.flock(handle, fcntl.LOCK_SH)
    import threading

    threading.Timer(0.2, handle.close).start()
    with RunDirectory(path).open("x") as directory:
        assert directory.record["id"] == "x"


def test_step_and_score_of_a_run_under_way(tmp_path):
    path = make_run(tmp_path, "a", status="interrupted", error="stopped by SIGTERM")
    rows = [f"{step},0.5,{0.01 * step if step % 10 == 0 else ''}" for step in range(1, 2001)]
    (path / "metrics.csv").write_text("\n".join(["step,train/loss,validation/dice", *rows]) + "\n")
    progress = read_progress(path)
    assert (progress.step, progress.score) == (2000, pytest.approx(20.0))
    assert progress.reason == "stopped by SIGTERM"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}'])
def test_half_written_records_are_named(tmp_path, text):
    path = tmp_path / "broken"
    path.mkdir()
    (path / "run.json").write_text(text)
    (path / "metrics.csv").write_text("step,validation/dice\n1,")
    assert read_progress(path).state == "unreadable"


def test_remaining_time(tmp_path):
    end = (START + timedelta(seconds=600)).isoformat()
    runs = [make_run(tmp_path, f"done{k}", status="finished", finished=end) for k in range(3)]
    done = [read_progress(path) for path in runs]
    assert [run.seconds for run in done] == [600] * 3
    half = Progress(tmp_path, "half", "running", step=50, max_steps=100)
    waiting = Progress(tmp_path, "waiting", "interrupted", max_steps=100)
    assert seconds_left([*done, half]) == pytest.approx(300)
    assert seconds_left([*done, half, half, waiting]) == pytest.approx((300 + 300 + 600) / 2)
    assert seconds_left([half]) is None
    assert seconds_left([*done, Progress(tmp_path, "failed", "failed")]) == 0


def test_what_is_shown(tmp_path):
    make_run(tmp_path / "sweep", "good", status="finished", finished=START.isoformat())
    make_run(tmp_path / "sweep", "bad", status="failed", error="the loss is nan [at] step 3")
    text = io.StringIO()
    runs = [read_progress(path) for path in sorted((tmp_path / "sweep").iterdir())]
    show_status(runs, Console(file=text, width=120))
    assert "2 runs: 1 finished, 1 failed" in text.getvalue()
    assert "the loss is nan [at] step 3" in text.getvalue()
    assert "good" not in text.getvalue()
    show_status(runs, Console(file=text, width=120), every=True)
    assert "good" in text.getvalue()


def test_command(tmp_path, capsys):
    make_run(tmp_path / "sweep", "good", status="finished", finished=START.isoformat())
    command(configure(f"runs={tmp_path}/sweep", command="status"))
    assert "1 runs: 1 finished" in capsys.readouterr().out
    with pytest.raises(UserError, match="no such folder"):
        command(configure(f"runs={tmp_path}/none", command="status"))


def test_runs_that_have_not_begun_are_queued(tmp_path, capsys):
    sweep = tmp_path / "sweep"
    jobs = [Job(("seed=1",), sweep / name, "0" * 12, name) for name in ("good", "second", "third")]
    sweep.mkdir()
    add_asked(sweep, None, jobs)
    command(configure(f"runs={sweep}", command="status"))
    assert "3 runs: 3 queued" in capsys.readouterr().out
    make_run(sweep, "good", status="finished", finished=START.isoformat())
    command(configure(f"runs={tmp_path}", command="status"))
    out = capsys.readouterr().out
    assert "3 runs: 1 finished, 2 queued" in out
    assert "second" not in out
    command(configure(f"runs={tmp_path}", "all=true", command="status"))
    assert "second" in capsys.readouterr().out


def test_why_queued_runs_wait(tmp_path, capsys):
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    add_asked(sweep, None, [Job((), sweep / name, name, name) for name in "abcd"])
    make_run(sweep, "d", status="interrupted")
    stuck = "SLURM says PartitionConfig: such jobs [can] never start"
    write_waiting(sweep, {"a": stuck, "b": stuck, "c": "SLURM says Priority", "d": stuck})
    command(configure(f"runs={sweep}", command="status"))
    out = capsys.readouterr().out
    assert re.search(rf"2 wait: {re.escape(stuck)} \(\d+ s ago\)", out)
    assert re.search(r"1 wait: SLURM says Priority \(\d+ s ago\)", out)
    write_waiting(sweep, {})
    assert read_waiting(sweep) == ({}, "")
    command(configure(f"runs={sweep}", command="status"))
    assert "wait" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", '{"time": 1}', '{"time": "a", "reasons": []}'])
def test_half_written_reasons_are_none(tmp_path, text):
    (tmp_path / "waiting.json").write_text(text)
    assert read_waiting(tmp_path) == ({}, "")


def test_a_full_disk_is_said_where_the_run_itself_could_not_say_it(tmp_path, monkeypatch):
    states = {"a": "running", "b": "failed", "c": "finished"}
    runs = [read_progress(make_run(tmp_path, name, status=state)) for name, state in states.items()]
    assert with_full_disks(runs) == runs
    asked = []

    def full(**options):
        asked.append(options["dir"])
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", full)
        told = with_full_disks([*runs, runs[0]])
    reason = "nothing can be written to its folder: Disk quota exceeded"
    assert [run.reason for run in told] == [reason, "", "", reason]
    assert asked == [tmp_path / "a"]  # once for a disk
    show_status(told, console := Console(file=io.StringIO(), width=200))
    assert "Disk quota exceeded" in console.file.getvalue()
