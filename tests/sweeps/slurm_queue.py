"""The queue of the real SLURM that tests use."""

import subprocess
import time


def scontrol(*arguments: str) -> str:
    """What the command prints; it may fail."""
    return subprocess.run(["scontrol", *arguments], capture_output=True, text=True, check=False).stdout


def jobs_in_state(state: str) -> dict[str, str]:
    """Why each job of this user waits that is in a state, such as PD or R, by its id."""
    asked = ["squeue", "--me", "-h", "-r", "-t", state, "-o", "%i|%r"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return dict(line.split("|", 1) for line in lines)


_since: dict[str, float] = {}
"""When each job was first seen waiting for its time to begin."""

REST = 3.0
"""Seconds before which SLURM may take a job for the one that has just been killed, and not start it."""


def start_now() -> None:
    """Lets jobs start that were queued again some seconds ago: SLURM puts them off for two minutes."""
    waiting = [job for job, reason in jobs_in_state("PD").items() if reason == "BeginTime"]
    for job in _since.keys() - waiting:
        del _since[job]
    for job in waiting:
        if time.monotonic() - _since.setdefault(job, time.monotonic()) > REST:
            scontrol("update", f"JobId={job}", "StartTime=now")
