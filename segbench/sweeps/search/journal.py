"""The file that holds a search: written by several processes and nodes at once, readable after any crash."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock

from segbench.errors import UserError

STUDY = "search"
"""The study's name in its file; some pruners draw from it."""


def open_journal(path: Path) -> JournalStorage:
    """Open the file of a search.

    Raises:
        UserError: where it is damaged or cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return JournalStorage(_WholeLines(path))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read: {error}; delete it to begin the search anew") from error


class _WholeLines(BaseJournalBackend):
    """Optuna's file of one line per event, in which a line that a crash or a full disk cut short does no harm.

    Args:
        path: the file, absolute; written under a lock file beside it, as network file systems need it. A lock whose
            holder was killed is broken after half a minute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = JournalFileOpenLock(str(path))
        self.file = JournalFileBackend(str(path), lock_obj=self.lock)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """The events from a number on."""
        return self.file.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add events, on a line of their own."""
        self._drop_half_a_line()
        self.file.append_logs(logs)

    def _drop_half_a_line(self) -> None:
        if self._whole():
            return
        self.lock.acquire()  # somebody may be writing that line just now
        try:
            if not self._whole():
                with self.path.open("r+b") as file:
                    file.truncate(file.read().rfind(b"\n") + 1)
        finally:
            self.lock.release()

    def _whole(self) -> bool:
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"
