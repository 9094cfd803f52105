"""One run of a sweep as a job of SLURM: stopped in time it is queued again, and goes on where it stood."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from segbench.errors import Stopped
from segbench.processes import is_main_process
from segbench.sweeps.job import execute

STOPS = (signal.SIGTERM, signal.SIGUSR2)
"""SLURM's word before a preemption, and the one asked of it some time before the time limit."""


def run_job(arguments: Sequence[str], requeues: int) -> None:
    """Executes a run; called by each task of a job.

    While the run is under way its `Stopper` has the signals: it writes a checkpoint and ends the run. Before and after
    it this function has them. The first task then asks SLURM to queue the job again, unless SLURM ends or requeues it
    by itself (scancel, preemption).

    Args:
        arguments: of the command `train`.
        requeues: how often the job may be queued again.

    Raises:
        SystemExit: with the exit code of a run that is not finished.
    """
    for number in STOPS:
        signal.signal(number, _stop)
    os.environ.pop("HYDRA_FULL_ERROR", None)  # the submitting command's, which prints errors by itself
    try:
        code = execute(arguments)
    except Stopped as stop:
        code = 128 + stop.number
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    if code in [128 + number for number in STOPS] and is_main_process():
        _requeue(requeues)
    if code:
        sys.exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def _requeue(requeues: int) -> None:
    job = os.environ["SLURM_JOB_ID"]
    shown = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, check=False)
    if "JobState=RUNNING" not in shown.stdout:
        return  # SLURM is ending it, or has put it back into the queue
    if int(os.environ.get("SLURM_RESTART_COUNT", 0)) >= requeues:
        print(f"segbench: the job was queued again {requeues} times: that is enough", file=sys.stderr)
        return
    print("segbench: stopped with a checkpoint; the job is queued again", file=sys.stderr, flush=True)
    subprocess.run(["scontrol", "requeue", job], check=False)
