"""One line for what a full memory does to a training: on the GPU, in this process, or in those that make samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from omegaconf import DictConfig

from segbench.errors import MachineError, UserError

_DIED = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? [^)]*\) (?:is killed by signal: (?P<signal>[^.]+)\.|exited unexpectedly)"
)
_SHARED = re.compile(r"shared memory (?:object|file|limit)|unable to (?:write to|resize) file </torch_|ancdata")
_OF_WORKER = "in DataLoader worker process"


@contextmanager
def said_in_one_line(config: DictConfig) -> Iterator[None]:
    """Say in one line what a full memory has ended, and which key to change.

    Args:
        config: of the run.

    Raises:
        MachineError: for what another try may not meet again.
        UserError: as it was raised in a process that makes samples, without that process's traceback.
    """
    try:
        yield
    except UserError as error:
        if _OF_WORKER not in str(error):
            raise
        raise UserError(str(error).rpartition("UserError: ")[2].strip()) from error
    except torch.cuda.OutOfMemoryError as error:
        raise MachineError(
            f"the memory of the GPU is full: choose a smaller data.batch_size ({config.data.batch_size}),"
            f" data.patch_size ({list(config.data.patch_size)}) or model, trainer.precision=bf16-mixed, or fewer runs"
            " on a GPU (hydra.launcher.runs_per_gpu)"
        ) from error
    except MemoryError as error:
        raise MachineError(f"the memory is full: {_MORE_MEMORY}") from error
    except RuntimeError as error:
        remedy = _remedy(str(error), config.data.workers)
        if remedy is None:
            raise
        raise MachineError(f"{remedy}; the same command goes on from the last checkpoint") from error


_MORE_MEMORY = "give the run more (of SLURM: hydra.launcher.mem_gb), or start fewer runs at a time"


def _remedy(message: str, workers: int | str) -> str | None:
    """The cause and what to change, by a message of PyTorch; None for another kind of error."""
    died = _DIED.search(message)
    makers = f"data.workers={workers}"
    if _SHARED.search(message) or (died is not None and (died["signal"] or "").startswith("Bus error")):
        return (
            f"the shared memory, through which samples come from the processes that make them ({makers}), is full: give"
            " it more space (docker run --shm-size=8g), or set fewer data.workers; 0 needs none"
        )
    if died is None:
        return None
    how = f" by {died['signal'].upper()}" if died["signal"] else ""
    return (
        f"a process that makes samples ({makers}) was killed{how}: by hand, or because the memory was full; set fewer"
        f" data.workers, each of which needs its own, or {_MORE_MEMORY}"
    )
