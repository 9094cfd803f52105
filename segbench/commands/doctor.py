"""The command `doctor`: what this machine gives segbench, and what is amiss."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from segbench import __version__
from segbench.config.paths import conf_folder
from segbench.errors import UserError
from segbench.system.disk import lack_of_space

PACKAGES = (
    "torch", "lightning", "hydra-core", "omegaconf", "numpy", "monai", "segmentation-models-pytorch", "albumentations",
    "torchmetrics", "wandb", "nibabel", "SimpleITK", "blosc2",
)  # fmt: skip
OPTIONAL = {"optuna": "search", "tensorboard": "tensorboard", "wandb-workspaces": "workspaces"}
"""Packages that an extra of segbench brings."""

LEAST_SPACE = 5.0
"""GiB that should be free where decoded images are kept."""

GIB = 2**30


class Finding(NamedTuple):
    """A line of the report.

    Attributes:
        what: what was looked at.
        found: what is there.
        amiss: what to do about it; empty where all is well.
    """

    what: str
    found: str
    amiss: str = ""


def doctor(config: DictConfig) -> None:
    """Print what is there, a line each, and what is amiss."""
    console = Console()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    findings = list(examine())
    for finding in findings:
        table.add_row(finding.what, Text(finding.found))
    console.print(table, highlight=False)
    wrong = [finding for finding in findings if finding.amiss]
    for finding in wrong:
        console.print(f"amiss: {finding.what}: {finding.amiss}", soft_wrap=True, highlight=False, markup=False)
    if not wrong:
        console.print("nothing is amiss")


def examine() -> Iterator[Finding]:
    """The findings, in the order in which they are shown."""
    yield Finding("segbench", f"{__version__}, in {Path(__file__).parents[1]}")
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield Finding("system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield Finding("packages", ", ".join(f"{name} {_version(name) or 'missing'}" for name in PACKAGES))
    yield Finding("extras", "; ".join(_extras()))
    yield from _processors()
    yield from _devices()
    yield from _folders()
    yield _wandb()
    yield _slurm()
    yield Finding(
        "terminal", f"{shutil.get_terminal_size().columns} columns, {'' if sys.stdout.isatty() else 'no '}terminal"
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _extras() -> Iterator[str]:
    for package, extra in OPTIONAL.items():
        found = _version(package)
        yield f"{package} {found}" if found else f"no {package} (pip install 'segbench[{extra}]')"


def _processors() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = _memory()
    shared = Path("/dev/shm")
    text = f"{cores} cores" + (f", {memory:.0f} GiB of memory" if memory else "")
    amiss = ""
    if shared.is_dir():
        space = shutil.disk_usage(shared).total / GIB
        text += f", {space:.1f} GiB of shared memory"
        if space < 0.5:
            amiss = "little shared memory, through which samples come: docker run --shm-size=8g, or data.workers=0"
    yield Finding("processor", text, amiss)


def _memory() -> float | None:
    """The machine's memory in GiB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    except (AttributeError, OSError, ValueError):
        return None


def _devices() -> Iterator[Finding]:
    import torch

    from segbench.system.precision import choose_precision

    built = f"PyTorch for {f'CUDA {torch.version.cuda}' if torch.version.cuda else 'CPUs'}"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            free, _ = torch.cuda.mem_get_info(index)
            yield Finding(
                f"GPU {index}", f"{facts.name}, {facts.total_memory / GIB:.0f} GiB, {free / GIB:.0f} free; {built}"
            )
        accelerator = "cuda"
    else:
        seen = shutil.which("nvidia-smi") is not None
        amiss = (
            "a driver is there, and PyTorch finds no GPU: see CUDA_VISIBLE_DEVICES, and whether this PyTorch is for it"
        )
        accelerator = "mps" if torch.backends.mps.is_available() else "cpu"
        yield Finding("GPU", f"{'Apple' if accelerator == 'mps' else 'none'}; {built}", amiss if seen else "")
    count = torch.get_num_threads()
    threads = f", {count} thread{'s' * (count != 1)}" if accelerator == "cpu" else ""
    yield Finding("trains with", f"{choose_precision('auto', accelerator)} (trainer.precision=auto){threads}")


def _folders() -> Iterator[Finding]:
    base = OmegaConf.load(conf_folder() / "common_data.yaml")
    assert isinstance(base, DictConfig)
    cache = Path(str(base.cache)).expanduser()
    yield _folder("cache", cache, "SEGBENCH_CACHE")
    yield _folder("this folder", Path.cwd(), "another folder")
    data = os.environ.get("SEGBENCH_DATA")
    amiss = "" if data is None or Path(data).is_dir() else "SEGBENCH_DATA names no folder"
    yield Finding(
        "data",
        f"SEGBENCH_DATA={data}" if data else "SEGBENCH_DATA is not set: data sets are looked for in data/",
        amiss,
    )


def _folder(what: str, folder: Path, other: str) -> Finding:
    """A folder that is written to: its space, and whether it takes a file."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free / GIB
    amiss = lack_of_space(there) or ""
    if not os.access(there, os.W_OK):
        amiss = f"{there} cannot be written"
    elif not amiss and free < LEAST_SPACE:
        amiss = f"less than {LEAST_SPACE:.0f} GiB are free"
    return Finding(what, f"{folder}, {free:.0f} GiB free", f"{amiss}; choose {other}" if amiss else "")


def _wandb() -> Finding:
    from segbench.loggers.wandb_access import mode_of, server_address

    try:
        mode = mode_of("online")
    except UserError as error:
        return Finding("W&B", os.environ.get("WANDB_MODE", ""), str(error))
    address = server_address()
    host = address.partition("//")[2].partition(":")[0].rstrip("/")
    known = "WANDB_API_KEY" in os.environ or _in_netrc(host)
    key = "a key is set" if known else "no key (wandb login); without one choose logger=csv or WANDB_MODE=offline"
    return Finding("W&B", f"{mode}, {address}, {key}" if mode == "online" else mode)


def _in_netrc(host: str) -> bool:
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return f"machine {host}" in file.read_text()
    except OSError:
        return False


def _slurm() -> Finding:
    if shutil.which("sinfo") is None:
        return Finding("SLURM", "none on this machine")
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format=%P %a %D nodes, %c CPUs, %m MB, %G"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Finding("SLURM", "no answer", "sinfo does not answer within 10 seconds")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    return Finding("SLURM", "; ".join(lines) or "no partitions", "" if done.returncode == 0 else done.stderr.strip())
