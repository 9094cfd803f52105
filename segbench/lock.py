"""A lock on a file, held by one process for as long as it lives."""

from __future__ import annotations

import fcntl
import os
import socket
import time
import weakref
from contextlib import suppress
from pathlib import Path

_TRIES = 10
_PAUSE = 0.05
"""Seconds between two tries."""


class FileLock:
    """Keeps a second process out of a folder; free at once when its holder ends, however it ends.

    Processes forked from the holder, such as the workers that load data, do not hold it: they outlive a holder that
    was killed by some seconds, and nobody could continue its work meanwhile.

    Args:
        path: the lock file. It stays when the lock is given back: removed, two processes could hold locks on two
            files of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> str | None:
        """Takes the lock; waits a moment for those who only look whether somebody has it.

        Returns:
            None if it is taken, else who has it.

        Raises:
            OSError: where the file cannot be written.
        """
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _locked(handle):
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(handle)
            return holder
        self._handle = handle
        _held.add(self)
        with suppress(OSError):  # a full disk: the lock holds without a name
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        return None

    def release(self) -> None:
        """Gives the lock back, if this process has it."""
        handle, self._handle = self._handle, None
        _held.discard(self)
        if handle is not None:
            os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a process has the lock on this file."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _locked(handle: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_PAUSE)
        else:
            return True
    return False


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget() -> None:
    """Closes the copies that a forked process has got: the lock stays with the one that took it."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_forget)
