"""One run of a sweep as a job of SLURM: stopped in time it is queued again, and goes on where it stood."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TypeVar

from segbench.errors import Stopped
from segbench.sweeps.cluster.squeue import requeue, state_of
from segbench.sweeps.job import execute
from segbench.system.processes import is_main_process

T = TypeVar("T")

STOPS = (signal.SIGTERM, signal.SIGUSR2)
"""SLURM's word before a preemption, and the one asked of it some time before the time limit."""

PAUSES = (1.0, 2.0, 5.0, 10.0, 15.0)
"""Seconds, about, between tries to reach the controller; fewer in all than `signal_delay_s` leaves."""


def run_job(arguments: Sequence[str], requeues: int) -> None:
    """Execute a run; called by each task of a job.

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
    state = _insist(lambda: state_of(job))
    if state not in ("RUNNING", None):
        return  # SLURM is ending it, or has put it back into the queue
    if int(os.environ.get("SLURM_RESTART_COUNT", 0)) >= requeues:
        print(f"segbench: the job was queued again {requeues} times: that is enough", file=sys.stderr)
        return
    if _insist(lambda: requeue(job) or None):
        print("segbench: stopped with a checkpoint; the job is queued again", file=sys.stderr, flush=True)
    else:
        print("segbench: stopped with a checkpoint; SLURM does not queue the job again", file=sys.stderr, flush=True)


def _insist(ask: Callable[[], T | None]) -> T | None:
    """The answer of a controller that may be busy: the jobs of an array come to their time limit together."""
    for pause in PAUSES:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(random.uniform(0.5, 1.5) * pause)
    return ask()
