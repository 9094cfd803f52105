"""A job of SLURM whose run was stopped by a signal: it is put back into the queue, and goes on where it stood.

The job's script calls `python -m segbench.sweeps.cluster.stopped_job REQUEUES` once all processes of the run have
ended, so that a signal counts at any moment, also before Python has begun.
"""

from __future__ import annotations

import os
import random
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from segbench.sweeps.cluster.squeue import requeue, state_of
from segbench.system.signals import STOP_SIGNALS

T = TypeVar("T")

STOPS = STOP_SIGNALS
"""Among them SLURM's word before a preemption, and the one asked of it some time before the time limit."""

PAUSES = (1.0, 2.0, 5.0, 10.0, 15.0)
"""Seconds, about, between tries to reach the controller; fewer in all than `signal_delay_s` leaves."""


def script_lines(requeues: int, code: Path) -> list[str]:
    """Lines for a job's script, before all others, that queue the job again if a signal stops the run or the script.

    While bash waits for a command it obeys no signal, but while it waits for one in the background it does: so
    `srun` is made to be one.

    Args:
        requeues: how often a job may be queued again.
        code: the folder that segbench is imported from.
    """
    codes = "|".join(str(128 + number) for number in STOPS)
    python = f"PYTHONPATH={shlex.quote(str(code))} PYTHONSAFEPATH=1 {shlex.quote(sys.executable)}"
    return [
        f"after_run() {{ code=$?; case $code in {codes}) {python} -m {__name__} {requeues};; esac; exit $code; }}",
        "trap after_run EXIT",
        *(f"trap 'exit {128 + number}' {number.name.removeprefix('SIG')}" for number in STOPS),
        'srun() { command srun "$@" & wait $!; }',
    ]


def stop_of(code: int) -> str | None:
    """The signal that has stopped a job with this exit code, such as "SIGTERM"; None where none has."""
    return next((number.name for number in STOPS if code == 128 + number), None)


def queue_again(requeues: int) -> None:
    """Ask SLURM to queue this job again, unless SLURM ends or requeues it by itself (scancel, preemption).

    Args:
        requeues: how often the job may be queued again.
    """
    job = own_id(os.environ)
    state = _insist(lambda: state_of(job))
    if state not in ("RUNNING", None):
        return  # SLURM is ending it, or has put it back into the queue
    if int(os.environ.get("SLURM_RESTART_COUNT", 0)) >= requeues:
        print(f"segbench: the job was queued again {requeues} times: that is enough", file=sys.stderr)
        return
    if _insist(lambda: requeue(job) or None):
        print("segbench: the run was stopped; the job is queued again", file=sys.stderr, flush=True)
    else:
        print("segbench: the run was stopped; SLURM does not queue the job again", file=sys.stderr, flush=True)


def own_id(environment: Mapping[str, str]) -> str:
    """The id of the job that has this environment, `12_3` for a task of an array.

    `SLURM_JOB_ID` would not do: of the last task it is the number of the array, which stands for all of its tasks.
    """
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def _insist(ask: Callable[[], T | None]) -> T | None:
    """The answer of a controller that may be busy: the jobs of an array come to their time limit together."""
    for pause in PAUSES:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(random.uniform(0.5, 1.5) * pause)
    return ask()


if __name__ == "__main__":
    queue_again(int(sys.argv[1]))
