"""SLURM's queue and accounting of jobs.

A task of an array is named `12_3` everywhere: the number `12` alone stands for all of its tasks.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
}  # fmt: skip
RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}

HELD = "launch failed requeued held"
"""SLURM's reason of a job that a node could not start."""


@dataclass(frozen=True)
class Queued:
    """A job that SLURM has.

    Attributes:
        state: "PENDING", "RUNNING", ..
        reason: why it waits, "None" where it does not.
    """

    state: str
    reason: str


@dataclass(frozen=True)
class Ending:
    """The end of a job.

    Attributes:
        text: such as "timeout (TimeLimit)".
        code: the exit code of its script.
    """

    text: str
    code: int = 0


def queue() -> dict[str, Queued] | None:
    """All jobs of this user that wait or run, by their id (`12`, or `12_3` for a part of an array).

    None where SLURM does not answer.
    """
    text = _ask("squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r")
    if text is None:
        return None
    fields = [line.split("|", 2) for line in text.splitlines() if line.count("|") >= 2]
    return {job: Queued(state, reason.replace("_", " ")) for job, state, reason in fields if state not in ENDED}


def release(job: str) -> None:
    """Let a job go on that is held."""
    _ask("scontrol", "release", job)


def requeue(job: str) -> bool:
    """Put a job back into the queue; return whether SLURM has taken that."""
    return _ask("scontrol", "requeue", job) is not None


def state_of(job: str) -> str | None:
    """The state of a job, such as "RUNNING"; None where SLURM does not answer or has forgotten it."""
    return facts_of(job).get("JobState")


def ending(job: str) -> Ending | None:
    """The end of a job; its text is empty where SLURM has forgotten it. None where it goes on."""
    facts = facts_of(job)
    if facts.get("JobState", "COMPLETED") not in ENDED:
        return None
    state = facts.get("JobState", "").lower().replace("_", " ")
    reason = facts.get("Reason", "None")
    code = facts.get("ExitCode", "0:0")
    details = [reason] * (reason not in ("None", "NonZeroExitCode")) + [f"exit code {code}"] * (code != "0:0")
    return Ending(f"{state} ({', '.join(details)})" if state and details else state, int(code.partition(":")[0]))


def facts_of(job: str) -> dict[str, str]:
    """The facts that SLURM knows of a job, as `scontrol show job` names them; empty where it has forgotten the job.

    Asked for a task that waits it may print the whole array: a line for each task, and for those that wait.
    """
    text = _ask("scontrol", "show", "job", "-o", job) or ""
    for line in text.splitlines():
        facts = dict(part.split("=", 1) for part in line.split() if "=" in part)
        if _is_of(job, facts):
            return facts
    return {}


def nodes_of(partition: str) -> list[list[str]]:
    """CPUs, MB of memory, generic resources, features and the longest time of each node of a partition, as text.

    Of all nodes where the partition has no name.
    """
    where = [f"--partition={partition}"] if partition else []
    text = _ask("sinfo", "--noheader", "--Node", *where, "--format=%c|%m|%G|%f|%l") or ""
    return [line.split("|") for line in text.splitlines() if line.count("|") == 4]


def array_size() -> int:
    """The largest number of jobs in an array."""
    text = _ask("scontrol", "show", "config") or ""
    sizes = [line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("MaxArraySize")]
    return max(1, int(sizes[0]) - 1) if sizes and sizes[0].isdigit() else 1000


def _is_of(job: str, facts: Mapping[str, str]) -> bool:
    array, _, task = job.partition("_")
    if "ArrayJobId" not in facts:
        return job == facts.get("JobId")
    if array != facts["ArrayJobId"] or not task:
        return False
    parts = facts.get("ArrayTaskId", "").partition("%")[0].split(",")  # such as 3, 0-2 or 1,4-7%2
    ranges = [part.partition("-") for part in parts if part]
    return any(int(first) <= int(task) <= int(last or first) for first, _, last in ranges)


def _ask(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
