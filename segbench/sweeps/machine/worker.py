"""The inside of a worker process of a sweep on one machine."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from segbench.data import store_cache

OUTPUT = "output.log"
"""The file in a run's directory that takes what the run prints."""

_OUTPUTS = (1, 2)
"""The files of standard output and standard error."""

THREADS = "OMP_NUM_THREADS"

_LOOK_EVERY = 0.2
"""Seconds between looks at whether to stop."""

_idle = threading.Event()
"""Set between two runs."""
_idle.set()


def start(parent: int, stop: Path) -> None:
    """Prepare a worker: it stops in good order when it is asked to, and when the process that started it dies.

    Args:
        parent: the process that started it.
        stop: a file that appears when the run under way is to end at its next step.
    """
    # Ctrl-C reaches only the parent, which passes it on.
    os.setpgrp()
    # What libraries say when the process ends is of no use; what a run says goes to its file.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, *_OUTPUTS):
        os.dup2(nowhere, number)
    os.close(nowhere)
    # loky's own way of starting processes is not for processes that load data.
    multiprocessing.set_start_method(None, force=True)
    store_cache.keep()
    threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()


def call(work: Callable[[Sequence[str], Path], int], arguments: Sequence[str], path: Path) -> int:
    """Execute a run by a function, such as `work`."""
    _idle.clear()
    try:
        return work(arguments, path)
    finally:
        _idle.set()


def work(arguments: Sequence[str], path: Path) -> int:
    """Execute one run, its output in a file of its directory.

    Args:
        arguments: of the command.
        path: the run directory.

    Returns:
        The exit code.
    """
    path.mkdir(parents=True, exist_ok=True)
    with _output_to(path / OUTPUT):
        import torch

        from segbench.sweeps.job import execute

        torch.set_num_threads(int(os.environ[THREADS]))  # a library may have set its own number
        code = execute(arguments)
        gc.collect()
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()  # what this process keeps for later, its neighbours on the GPU cannot have
    return code


def _watch(parent: int, stop: Path) -> None:
    """Send this process the signal to stop; between two runs it ends the process."""
    while os.getppid() == parent and not stop.exists():
        time.sleep(_LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    _idle.wait()  # and then there is nobody to report to
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Append what this process and its children print to a file."""
    kept = [os.dup(number) for number in _OUTPUTS]
    with path.open("ab") as file:
        for number in _OUTPUTS:
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip(_OUTPUTS, kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
