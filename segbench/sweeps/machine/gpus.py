"""The GPUs of this machine, by their names in CUDA_VISIBLE_DEVICES; found without a driver call in this process."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from itertools import takewhile

from segbench.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"

_NONE = ("", "-1", "NoDevFiles")
"""Words that stand for no GPU: CUDA's own words, and SLURM's for a job without one."""


def visible_gpus() -> list[str]:
    """The GPUs that a program started here would see.

    CUDA_VISIBLE_DEVICES is taken at its word. Without it, nvidia-smi lists the UUIDs: its numbers are those of the
    bus, CUDA's those of the speed. A GPU that is cut into MIG instances is left to them; CUDA would show a process
    only the first of them all.
    """
    chosen = os.environ.get(VISIBLE)
    if chosen is not None:  # CUDA, too, reads up to the first that is no device
        return list(takewhile(lambda name: name not in _NONE, (name.strip() for name in chosen.split(","))))
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed_gpus(listing.stdout)


def listed_gpus(listing: str) -> list[str]:
    """The UUIDs in what `nvidia-smi -L` prints; for a GPU with MIG instances, their UUIDs."""
    gpus: list[list[str]] = []
    for line in listing.splitlines():
        found = re.search(r"\(UUID: ((?:GPU|MIG)-[^)]+)\)", line)
        if found is None:
            continue
        if found[1].startswith("GPU"):
            gpus.append([found[1]])
        elif gpus:
            gpus[-1].append(found[1])
    return [name for gpu, *instances in gpus for name in (instances or [gpu])]


def chosen_gpus(asked: Sequence[int | str]) -> list[str]:
    """Some of the visible GPUs.

    Args:
        asked: numbers count among the visible ones, as PyTorch does; a text is a name (a UUID) as it is.

    Raises:
        UserError: where a GPU is not there, or asked for twice.
    """
    visible = visible_gpus()
    names = []
    for gpu in asked:
        if isinstance(gpu, int) and not 0 <= gpu < len(visible):
            raise UserError(f"hydra.launcher.gpus: there is no GPU {gpu}: {len(visible)} can be seen, numbered from 0")
        names.append(visible[gpu] if isinstance(gpu, int) else str(gpu))
    if len(set(names)) < len(names):
        raise UserError("hydra.launcher.gpus names a GPU twice: hydra.launcher.runs_per_gpu puts several runs on each")
    return names
