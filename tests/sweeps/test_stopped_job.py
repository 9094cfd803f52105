"""A signal stops a job at any moment, and the job is queued again: by scripts as SLURM runs them, without a SLURM."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segbench.runs.directory import RunDirectory
from segbench.sweeps.cluster.stopped_job import own_id, queue_again, script_lines, stop_of
from tests.made_runs import TINY

TASK = {"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
"""Of the last task of an array: its number is that of the array."""


@pytest.fixture(autouse=True)
def _job(monkeypatch):
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    for name, value in TASK.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("environment", "job"),
    [(TASK, "12_3"), (TASK | {"SLURM_JOB_ID": "14", "SLURM_ARRAY_TASK_ID": "0"}, "12_0"), ({"SLURM_JOB_ID": "9"}, "9")],
)
def test_a_task_is_named_by_its_array(environment, job):
    assert own_id(environment) == job


@pytest.mark.parametrize(
    ("state", "restarts", "requeued"),
    [
        ("RUNNING", 0, True),
        ("RUNNING", 2, True),
        ("RUNNING", 3, False),
        ("CANCELLED", 0, False),
        ("PENDING", 0, False),  # preempted: SLURM has put it back already
    ],
)
def test_which_jobs_are_queued_again(slurm, monkeypatch, state, restarts, requeued):
    others = (
        "JobId=13 ArrayJobId=12 ArrayTaskId=0 JobState=COMPLETED\nJobId=14 ArrayJobId=12 ArrayTaskId=1 JobState=RUNNING"
    )
    notes = slurm("scontrol", f"{others}\nJobId=12 ArrayJobId=12 ArrayTaskId=3 JobState={state} Reason=None")
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    queue_again(3)
    asked = [line for line in notes.read_text().splitlines() if line.startswith("requeue")]
    assert asked == ["requeue 12_3"] * requeued


@pytest.mark.parametrize(
    ("command", "code", "requeued"),
    [
        ("exit 140", 140, True),  # the time limit comes near: with a checkpoint
        ("exit 143", 143, True),
        ("kill -s USR2 $$", 140, True),  # before Python has begun
        ("kill -s TERM $$", 143, True),
        ("exit 130", 130, True),
        ("kill -s KILL $$", 137, False),
        ("exit 2", 2, False),
        ("exit 0", 0, False),
    ],
)
def test_which_ends_of_a_run_queue_its_job_again(slurm, tmp_path, command, code, requeued):
    notes = slurm("scontrol", "JobId=12 ArrayJobId=12 ArrayTaskId=3 JobState=RUNNING")
    assert script(tmp_path, f"bash -c '{command}'").wait() == code
    assert ("requeue 12_3" in notes.read_text().splitlines() if notes.exists() else False) == requeued


@pytest.mark.parametrize(
    ("number", "codes"),
    [(signal.SIGTERM, {143}), (signal.SIGUSR2, {140}), (signal.SIGINT, {130}), (signal.SIGKILL, {-9}),
     (signal.SIGUSR1, {-10, 138})],
)  # fmt: skip
@pytest.mark.parametrize("line", ["srun sleep 60", "while true; do sleep 0.05; done"])
def test_a_signal_to_the_script_itself(slurm, tmp_path, number, codes, line):
    """The script does not wait for its run, nor for the lines that prepare it: SLURM ends those that are left."""
    notes = slurm("scontrol", "JobId=12 ArrayJobId=12 ArrayTaskId=3 JobState=RUNNING")
    (tmp_path / "srun").write_text('#!/bin/bash\necho $$ > begun\nexec "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    begun = tmp_path / "begun"
    job = script(tmp_path, line if line.startswith("srun") else f"echo 0 > begun; {line}")
    while not (begun.exists() and begun.read_text()):
        assert job.poll() is None
        time.sleep(0.05)
    os.kill(job.pid, number)
    assert job.wait() in codes
    if run := int(begun.read_text()):
        os.kill(run, signal.SIGKILL)
    requeued = number not in (signal.SIGKILL, signal.SIGUSR1)
    assert ("requeue 12_3" in notes.read_text().splitlines() if notes.exists() else False) == requeued


@pytest.mark.parametrize("code", [0, 2, 143])
def test_the_script_ends_as_its_run(slurm, tmp_path, code):
    notes = slurm("scontrol", "JobId=12 ArrayJobId=12 ArrayTaskId=3 JobState=RUNNING")
    slurm("srun", "the run", code)
    assert script(tmp_path, "srun the run").wait() == code
    assert notes.exists() == (code == 143)


@pytest.mark.parametrize(("code", "name"), [(140, "SIGUSR2"), (143, "SIGTERM"), (130, "SIGINT"), (137, None)])
def test_the_signal_that_has_stopped_a_job(code, name):
    assert stop_of(code) == name


PAUSE = """
import importlib.abc, os, sys, time
from pathlib import Path

def pause(name, seconds=60):
    if name == os.environ.get("PAUSE_AT"):
        Path("paused").touch()
        for _ in range(10 * seconds):
            time.sleep(0.1)

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, *others):
        pause(name)

sys.meta_path.insert(0, Finder())
"""

DATA = """
from segbench.data.datasets.synthetic_cells import SyntheticCells
from sitecustomize import pause

class Cells(SyntheticCells):
    def load(self, record):
        pause("decoding", 2)
        return super().load(record)
"""

SWALLOWING = """
import importlib

from lightning import Callback

class Swallowing(Callback):
    def __init__(self):
        try:
            importlib.import_module("of_a_callback")
        except BaseException:
            {then}
"""

OWN = "data.dataset._target_=own_data.Cells", "callbacks=swallowing", "--config-dir=conf"


@pytest.mark.parametrize(
    ("number", "moment", "then", "status"),
    [
        (signal.SIGUSR2, "pandas", "pass", None),  # before the job's function is called
        (signal.SIGTERM, "hydra", "pass", None),
        (signal.SIGUSR2, "torch", "pass", None),
        (signal.SIGTERM, "decoding", "pass", None),
        (signal.SIGUSR2, "segbench.models.unet", "pass", None),
        (signal.SIGTERM, "of_a_callback", "raise", "interrupted"),
        (signal.SIGUSR2, "of_a_callback", "raise ImportError('initialization failed')", "interrupted"),  # as pybind11
        (signal.SIGTERM, "of_a_callback", "pass", "interrupted"),
    ],
)
def test_a_signal_at_the_start_of_a_run(slurm, tmp_path, monkeypatch, number, moment, then, status):
    notes = slurm("scontrol", "JobId=12 ArrayJobId=12 ArrayTaskId=3 JobState=RUNNING")
    (tmp_path / "sitecustomize.py").write_text(PAUSE)
    (tmp_path / "own_data.py").write_text(DATA)
    (tmp_path / "own_callback.py").write_text(SWALLOWING.format(then=then))
    (tmp_path / "conf/callbacks").mkdir(parents=True)
    (tmp_path / "conf/callbacks/swallowing.yaml").write_text("own:\n  _target_: own_callback.Swallowing\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "cache"))
    run = f"from segbench.sweeps.cluster.slurm_job import run_job; run_job({[*TINY, *OWN, 'hydra.run.dir=run']})"
    monkeypatch.setenv("PAUSE_AT", moment)
    job = script(tmp_path, f'{sys.executable} -c "{run}" & echo $! > started; wait $!')
    while not (tmp_path / "paused").exists():
        assert job.poll() is None
        time.sleep(0.05)
    os.kill(int((tmp_path / "started").read_text()), number)
    assert job.wait() == 128 + number
    assert notes.read_text().splitlines()[-1] == "requeue 12_3"
    assert RunDirectory(tmp_path / "run").status == status


def script(folder: Path, command: str) -> subprocess.Popen:
    """A job's script, as bash executes it."""
    (folder / "job.sh").write_text("\n".join(["#!/bin/bash", *script_lines(3, Path(__file__).parents[2]), command, ""]))
    # Whoever starts the tests in the background ignores SIGINT, and so would the script.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    return subprocess.Popen(["bash", str(folder / "job.sh")], cwd=folder, preexec_fn=heed)
