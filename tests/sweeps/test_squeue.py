"""What SLURM says, from commands that print what SLURM's print; a real one is in test_slurm.py."""

import os
import signal
import sys
from pathlib import Path

import pytest

from segbench.sweeps.cluster import slurm_job, squeue
from segbench.sweeps.cluster.slurm_job import run_job
from segbench.sweeps.cluster.squeue import Queued, array_size, ending, queue


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Puts a command on the path that prints a text, and notes what it was called with."""

    def command(name: str, text: str, code: int = 0) -> Path:
        notes = tmp_path / f"{name}.called"
        (tmp_path / name).write_text(f"#!/bin/sh\necho \"$@\" >> '{notes}'\ncat <<'TEXT'\n{text}\nTEXT\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
        return notes

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return command


def test_the_queue(slurm):
    slurm("squeue", "12_0|RUNNING|None\n12_1|PENDING|Resources\n13|COMPLETING|None\n14|COMPLETED|None\nnonsense")
    assert queue() == {
        "12_0": Queued("RUNNING", "None"),
        "12_1": Queued("PENDING", "Resources"),
        "13": Queued("COMPLETING", "None"),
    }


def test_a_controller_that_does_not_answer(slurm):
    slurm("squeue", "slurm_load_jobs error: Unable to contact slurm controller", 1)
    assert queue() is None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ("JobState=TIMEOUT Reason=TimeLimit ExitCode=0:0", "timeout (TimeLimit)"),
        ("JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125", "out of memory (OutOfMemory, exit code 0:125)"),
        ("JobState=FAILED Reason=NonZeroExitCode ExitCode=137:0", "failed (exit code 137:0)"),
        ("JobState=CANCELLED Reason=None ExitCode=0:15", "cancelled (exit code 0:15)"),
        ("JobState=NODE_FAIL Reason=None ExitCode=0:0", "node fail"),
    ],
)
def test_how_a_job_ended(slurm, facts, said):
    slurm("scontrol", f"JobId=12 JobName=a=b {facts} NodeList=n1")
    assert ending("12") == said


def test_a_job_that_slurm_has_forgotten(slurm):
    slurm("scontrol", "slurm_load_jobs error: Invalid job id specified", 1)
    assert ending("12") == ""


def test_arrays_are_as_long_as_allowed(slurm):
    slurm("scontrol", "MaxArraySize            = 5001\nMaxJobCount             = 10000")
    assert array_size() == 5000


@pytest.mark.parametrize(
    ("number", "state", "restarts", "requeued"),
    [
        (signal.SIGUSR2, "RUNNING", 0, True),  # the time limit comes near
        (signal.SIGTERM, "RUNNING", 0, True),  # as scancel --signal=TERM
        (signal.SIGTERM, "CANCELLED", 0, False),
        (signal.SIGTERM, "PENDING", 0, False),  # preempted: SLURM has put it back already
        (signal.SIGUSR2, "RUNNING", 3, False),
        (signal.SIGKILL, "RUNNING", 0, False),
    ],
)
def test_which_stops_queue_a_job_again(slurm, monkeypatch, number, state, restarts, requeued):
    notes = slurm("scontrol", f"JobId=12 JobState={state} Reason=None")
    monkeypatch.setattr(slurm_job, "execute", lambda arguments: 128 + number)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    handlers = [signal.getsignal(one) for one in slurm_job.STOPS]
    try:
        with pytest.raises(SystemExit) as stop:
            run_job(["seed=0"], 3)
    finally:
        for one, handler in zip(slurm_job.STOPS, handlers, strict=True):
            signal.signal(one, handler)
    assert stop.value.code == 128 + number
    called = notes.read_text().splitlines() if notes.exists() else []
    assert ("requeue 12" in called) == requeued


def test_a_signal_before_the_run_has_begun_counts(slurm, monkeypatch):
    notes = slurm("scontrol", "JobState=RUNNING")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    monkeypatch.setattr(slurm_job, "execute", lambda arguments: os.kill(os.getpid(), signal.SIGUSR2))
    handlers = [signal.getsignal(one) for one in slurm_job.STOPS]
    try:
        with pytest.raises(SystemExit):
            run_job([], 1)
    finally:
        for one, handler in zip(slurm_job.STOPS, handlers, strict=True):
            signal.signal(one, handler)
    assert "requeue 12" in notes.read_text()


def test_no_slurm_at_all(monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    assert squeue.queue() is None
    assert squeue.array_size() == 1000
