"""A process that is killed leaves nothing half-written, and its lock and its work to the next."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.system.atomic import remove_leftovers
from segbench.system.lock import FileLock
from segbench.training.checkpoint_file import CheckpointFile
from tests import kill_runs
from tests.faults import Command

ROOT = Path(__file__).parents[2]


@pytest.mark.slow  # the gate runs it by itself
def test_ten_killed_runs_end_as_if_they_had_not_been():
    done = subprocess.run(
        [sys.executable, "tests/kill_runs.py", "10", "1"], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 runs" in done.stdout


def test_a_second_process_is_told_in_one_line_and_the_first_loses_nothing(tmp_path):
    arguments = (*kill_runs.RUN, *kill_runs.VARIANTS["plain"])
    first = Command(arguments, tmp_path)
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():
        time.sleep(0.005)
        assert first.process.is_alive()
    os.kill(first.process.pid, signal.SIGSTOP)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, text = Command(arguments, tmp_path).wait()
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    os.kill(first.process.pid, signal.SIGCONT)
    assert code == 2
    (line,) = text.splitlines()
    assert f"is in use by process {first.process.pid} on" in line
    assert after == before
    assert first.wait()[0] == 0
    assert RunDirectory(tmp_path / "run").finished


HOLDER = """
import os, signal, sys, time
from pathlib import Path
from segbench.system.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire() is None
child = os.fork()
if child == 0:
    time.sleep(60)
print(child, flush=True)
signal.pause()
"""


def test_the_lock_of_a_killed_process_is_free_at_once_though_its_workers_live_on(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    worker = int(holder.stdout.readline())
    try:
        lock = FileLock(tmp_path / "lock")
        assert lock.acquire() == f"process {holder.pid} on {os.uname().nodename}"
        holder.kill()
        holder.wait()
        os.kill(worker, 0)  # raises where it is gone
        assert lock.acquire() is None
        lock.release()
    finally:
        os.kill(worker, signal.SIGKILL)
        holder.stdout.close()


def test_a_lock_is_taken_once_and_given_back(tmp_path):
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire() is None
    assert other.acquire() is not None
    other.release()
    assert other.acquire() is not None
    one.release()
    assert other.acquire() is None


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    directory = RunDirectory(tmp_path)
    kept = ["checkpoints/last.ckpt", "predictions/deep/a.tmp.png", ".hidden", "notes.tmp", "wandb/.x.tmp"]
    left = [".run.json.17.tmp", "checkpoints/.last.ckpt.tmp", "predictions/deep/.a.png.4.tmp", "previews/.b.png.4.tmp"]
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "run.json").write_text('{"id": "a"}')
    directory.open("a").close()
    assert [name for name in (*kept, *left) if (tmp_path / name).exists()] == kept
    remove_leftovers(tmp_path / "nowhere", "", "checkpoints")


def test_a_directory_that_is_refused_is_not_kept_locked(tmp_path):
    directory = RunDirectory(tmp_path)
    for content in ('{"id": "b"}', "{"):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(UserError, match=r"holds another run|is damaged"):
            directory.open("a")
        lock = FileLock(tmp_path / ".lock")
        assert lock.acquire() is None
        lock.release()


def test_a_checkpoint_is_written_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    CheckpointFile().save_checkpoint({"step": 3}, tmp_path / "a.ckpt")
    assert CheckpointFile().load_checkpoint(tmp_path / "a.ckpt") == {"step": 3}
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_decoded_cases_that_lack_their_index_are_made_anew(tmp_path):
    data = SyntheticCells(cases=3, size=(32, 32), seed=0)
    first = CaseStore(data, tmp_path)
    content = (first.folder / "index.json").read_text()
    (first.folder / "index.json").unlink()
    shutil.rmtree(first.folder / first.ids[0])
    again = CaseStore(data, tmp_path)
    assert json.loads((again.folder / "index.json").read_text()) == json.loads(content)
    assert again[first.ids[0]].image.shape == first.meta(first.ids[0]).shape
