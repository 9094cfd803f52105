"""The folder of a sweep: which runs were asked for, and the lock that keeps a second command out."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from segbench.errors import UserError
from segbench.runs.sweep_record import read_asked
from segbench.system.lock import FileLock


class SweepDirectory:
    """A sweep on disk: `sweep.json` lists the runs asked for, each in a folder of its own.

    A context manager: locked against other commands while the sweep is executed. Jobs that SLURM has go on
    without it, and the next command finds them.

    Args:
        path: the folder; made where it is not there.
        experiment: the study that the sweep is, None for another.

    Raises:
        UserError: where it cannot be written, another command has it, or it holds another study.
    """

    def __init__(self, path: Path, experiment: str | None) -> None:
        self.path = path
        self.experiment = experiment
        self._lock = FileLock(path / ".lock")

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "multirun.yaml").touch(mode=0o600)  # Hydra writes set-up lines into it, which may hold a key
            holder = self._lock.acquire()
        except OSError as error:
            raise UserError(f"hydra.sweep.dir: cannot write to {self.path}: {error.strerror}") from None
        if holder is not None:
            raise UserError(
                f"{self.path} is in use by {holder}, another command of this sweep: wait for it, or choose another "
                "hydra.sweep.dir"
            )
        before = read_asked(self.path).get("experiment", self.experiment)
        if before != self.experiment:
            self._close()
            raise UserError(
                f"{self.path} holds the runs of {_study(before)}, this is {_study(self.experiment)}: choose another "
                "hydra.sweep.dir"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if error is not None:
            self._leave_nothing()

    def _close(self) -> None:
        self._lock.release()

    def _leave_nothing(self) -> None:
        """Remove the folder of a sweep that was refused before it had any run: it holds what Hydra wrote alone."""
        if {file.name for file in self.path.iterdir()} <= {self._lock.path.name, "multirun.yaml"}:
            shutil.rmtree(self.path, ignore_errors=True)
            with suppress(OSError):  # it holds other sweeps
                self.path.parent.rmdir()


def _study(name: str | None) -> str:
    return f"experiment={name}" if name else "a sweep that is no study"
