"""The queue of the real SLURM that tests use."""

import subprocess


def scontrol(*arguments: str) -> str:
    """What the command prints; it may fail."""
    return subprocess.run(["scontrol", *arguments], capture_output=True, text=True, check=False).stdout


def jobs_in_state(state: str) -> dict[str, str]:
    """Why each job of this user waits that is in a state, such as PD or R, by its id."""
    asked = ["squeue", "--me", "-h", "-r", "-t", state, "-o", "%i|%r"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return dict(line.split("|", 1) for line in lines)


def start_now() -> None:
    """Lets jobs start that were queued again: SLURM puts them off for two minutes."""
    for job, reason in jobs_in_state("PD").items():
        if reason == "BeginTime":
            scontrol("update", f"JobId={job}", "StartTime=now")
