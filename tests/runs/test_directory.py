import errno
import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from segbench.errors import Stopped, UserError
from segbench.runs.directory import CASE_COLUMNS, RunDirectory, read_cases
from segbench.system.atomic import write_atomically
from segbench.system.lock import FileLock, is_held


def test_finished_is_the_last_thing_written(tmp_path):
    with RunDirectory(tmp_path).open("a") as directory:
        directory.start("seed: 0\n", {"id": "a"})
        assert RunDirectory(tmp_path).status == "running"
        directory.finish(steps=3)
    again = RunDirectory(tmp_path)
    assert again.finished
    assert again.record["steps"] == 3


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("odd"), "failed"), (UserError("odd"), "failed"), (Stopped(signal.SIGTERM), "interrupted"),
     (KeyboardInterrupt(), "interrupted")],
)  # fmt: skip
def test_an_exception_is_recorded(tmp_path, error, status):
    directory = RunDirectory(tmp_path).open("a")
    directory.start("", {"id": "a"})
    with pytest.raises(type(error)), directory:
        raise error
    assert RunDirectory(tmp_path).status == status


def test_a_second_process_is_kept_out_and_told_by_whom(tmp_path):
    with RunDirectory(tmp_path).open("a"):
        code = (
            "import sys; from pathlib import Path; from segbench.runs.directory import RunDirectory\n"
            "RunDirectory(Path(sys.argv[1])).open('a')"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode != 0
        assert f"process {os.getpid()}" in done.stderr
    RunDirectory(tmp_path).open("a").close()


def test_another_run_is_refused(tmp_path):
    with RunDirectory(tmp_path).open("a") as directory:
        directory.start("", {"id": "a"})
    with pytest.raises(UserError, match="holds another run"):
        RunDirectory(tmp_path).open("b")


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json"):
        RunDirectory(tmp_path)


def test_cases_round_trip(tmp_path):
    row = dict.fromkeys(CASE_COLUMNS, "NA") | {
        "fold": 0,
        "seed": 1,
        "value": float("nan"),
        "n_ref": 0,
        "n_pred": 0,
    }
    directory = RunDirectory(tmp_path)
    directory.write_cases([row, row | {"value": 0.1 + 0.2}])
    table = read_cases(directory.cases)
    assert list(table.columns) == list(CASE_COLUMNS)
    assert table["value"].isna().tolist() == [True, False]
    assert table["value"][1] == 0.1 + 0.2
    assert table["case"][0] == "NA"


def test_an_empty_directory_is_discarded_and_a_begun_one_kept(tmp_path):
    empty, begun = RunDirectory(tmp_path / "empty"), RunDirectory(tmp_path / "begun")
    for directory in (empty, begun):
        directory.open("a").close()
    begun.start("", {"id": "a"})
    empty.discard_if_empty()
    begun.discard_if_empty()
    assert not empty.path.exists()
    assert json.loads((begun.path / "run.json").read_text())["id"] == "a"


def test_a_directory_that_another_process_is_about_to_begin_is_not_discarded(tmp_path):
    """Two commands of one run: the second is refused, and must not take away what the first stands on."""
    first = RunDirectory(tmp_path / "run").open("a")
    RunDirectory(tmp_path / "run").discard_if_empty()
    first.start("", {"id": "a"})
    assert (first.path / "checkpoints").is_dir()
    assert is_held(first.path / ".lock")
    first.close()


def test_a_lock_on_a_file_that_was_removed_is_none(tmp_path):
    """Else two processes could hold locks on two files of one name."""
    first, second = FileLock(tmp_path / ".lock"), FileLock(tmp_path / ".lock")
    assert first.acquire() is None
    waiting = threading.Thread(target=second.acquire, args=(5.0,))
    waiting.start()
    time.sleep(0.2)
    first.path.unlink()
    first.release()
    waiting.join()
    assert is_held(tmp_path / ".lock")
    assert FileLock(tmp_path / ".lock").acquire(0.0) == f"process {os.getpid()} on {socket.gethostname()}"
    second.release()


def test_a_file_system_without_locks_is_no_other_process(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="has no locks"):
        RunDirectory(tmp_path).open("a")
    assert not is_held(tmp_path / ".lock")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "failed"), ("running", "failed"), ("interrupted", "failed"),
        ("failed", "failed before"), ("finished", "finished"), ("pruned", "pruned"),
    ],
)  # fmt: skip
def test_who_finds_a_run_ended_tells_what_it_could_not(tmp_path, before, after):
    directory = RunDirectory(tmp_path / "run")
    if before is not None:
        directory.open("a").start("", {"id": "a"})
        directory.update(status=before, error="before")
        directory.close()
    RunDirectory(tmp_path / "run").record_end("out of memory", needs_user=True)
    record = RunDirectory(tmp_path / "run").record
    assert record["status"] == after.partition(" ")[0]
    assert record["error"] == ("out of memory" if after == "failed" else "before")


def test_a_run_that_a_process_has_is_not_recorded_as_ended(tmp_path):
    with RunDirectory(tmp_path).open("a") as directory:
        directory.start("", {"id": "a"})
        RunDirectory(tmp_path).record_end("SLURM says so")
        assert RunDirectory(tmp_path).status == "running"


def test_a_run_tried_again_has_not_failed_yet(tmp_path):
    begun, never = RunDirectory(tmp_path / "begun"), RunDirectory(tmp_path / "never")
    begun.open("a").start("", {"id": "a"})
    begun.update(status="failed", error="the disk is full", needs_user=True)
    begun.close()
    never.record_failure(UserError("no such loss"))
    for directory in (begun, never):
        assert RunDirectory(directory.path).record["needs_user"]
        RunDirectory(directory.path).forget_failure()
    record = RunDirectory(begun.path).record
    assert (record["status"], record["error"], record["needs_user"]) == ("interrupted", None, False)
    assert RunDirectory(never.path).record == {}


def test_a_full_disk_leaves_the_file_before(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "before")
    # A limit on the size of files fails a write half-way, as a full disk does.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            write_atomically(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]
