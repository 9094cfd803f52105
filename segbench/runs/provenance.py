"""The provenance of a result: code, versions, machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import segbench

PACKAGES = (
    "torch",
    "lightning",
    "hydra-core",
    "monai",
    "segmentation-models-pytorch",
    "numpy",
    "scipy",
    "scikit-image",
)


@cache
def versions() -> dict[str, str]:
    """Versions of segbench, Python and the packages that decide a result."""
    found = {"segbench": segbench.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


STATE = "git.json"
"""In a copy of the code that was made for the jobs of a cluster: what `git_state` said where it was made."""


@cache  # the code that was loaded is the same in all runs of a sweep, whatever is committed meanwhile
def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that segbench runs from and whether it has changes; None outside of any."""
    root = Path(segbench.__file__).parents[1]
    if (root / STATE).exists():
        state: dict[str, Any] | None = json.loads((root / STATE).read_text())
        return state
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}


def git_diff() -> str:
    """The changes of tracked files since the commit; empty without any, or outside of a checkout."""
    root = Path(segbench.__file__).parents[1]
    changes = _git(root, "diff", "HEAD") if (root / ".git").exists() else None
    return f"{changes}\n" if changes else ""


def hardware() -> dict[str, Any]:
    """Host, processor and accelerators."""
    import torch

    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "host": platform.node(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": devices,
        "slurm": _slurm(),
    }


def _slurm() -> dict[str, Any] | None:
    """The SLURM job that this is, and how often it was begun anew; None outside of any."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return None
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return {
        "job": f"{array}_{task}" if array else job,
        "restarts": int(os.environ.get("SLURM_RESTART_COUNT", 0)),
    }


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
