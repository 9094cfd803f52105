"""A place for one run at a time: a worker process with its GPU, and what becomes of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from loky import BrokenProcessPool, Future, ProcessPoolExecutor

from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.sweeps.job import Job
from segbench.sweeps.machine import worker


class Slot:
    """A worker process that executes one run after the other.

    It is a pool of one: where a process of a larger pool dies, loky ends the others too.

    Args:
        environment: what is set for the process before it imports anything.
        stop: a file; when it appears, the run under way ends at its next step, with a checkpoint.
        work: executes a run there, such as `worker.work`.

    Attributes:
        job: the run under way, None between two.
        future: its end.
    """

    def __init__(self, environment: Mapping[str, str], stop: Path, work: Callable[[Sequence[str], Path], int]) -> None:
        # An error that the user can mend is one line there, too: the command has set this for itself.
        self.environment = {**environment, "HYDRA_FULL_ERROR": ""}
        self.stop = stop
        self.work = work
        self.job: Job | None = None
        self.future: Future
        self._pool: ProcessPoolExecutor | None = None

    def begin(self, job: Job, arguments: Sequence[str]) -> None:
        """Start a run."""
        try:
            self.future = self._running_pool().submit(worker.call, self.work, list(arguments), job.path)
        except BrokenProcessPool:  # the process died between two runs
            self.kill()
            self.future = self._running_pool().submit(worker.call, self.work, list(arguments), job.path)
        self.job = job

    def _running_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, timeout=None, env=self.environment, initializer=worker.start, initargs=(os.getpid(), self.stop)
            )
        return self._pool

    def look(self, stopping: bool) -> None:
        """Take note of the run's end, if it has come.

        Args:
            stopping: whether runs were asked to stop: a process that had none ends then.
        """
        if self.job is None or not self.future.done():
            return
        job, self.job = self.job, None
        try:
            code = self.future.result()
            if code and not stopping:
                _record_end(job, f"it ended with exit code {code} before it had begun: see {job.path / worker.OUTPUT}")
        except BrokenProcessPool as error:
            self.kill()
            if not stopping:
                _record_end(job, _cause(error))
        except Exception as error:  # before the run's own code: no place for its output, say
            _record_end(job, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the process in good order."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def kill(self) -> None:
        """End the process at once, and the processes that it has started."""
        if self._pool is not None:
            self._pool.shutdown(kill_workers=True)
            self._pool = None


def _cause(error: BrokenProcessPool) -> str:
    """The cause of a process's death, from what loky says of its exit code."""
    found = re.search(r"\{(\w+)\((-?\d+)\)", str(error))
    if found is None:
        return "its process died"
    if found[1] == "SIGKILL":
        return "its process was killed by SIGKILL: by hand, or because the memory was full"
    return f"its process died with {found[1] if found[2].startswith('-') else f'exit code {found[2]}'}"


def _record_end(job: Job, cause: str) -> None:
    """Write into the run's record what the run itself could not; its checkpoint stays."""
    with suppress(UserError):
        directory = RunDirectory(job.path)
        if directory.record.get("error") is None:
            directory.record_end(cause)
