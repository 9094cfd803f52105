"""A lock on a file, held by one process for as long as it lives."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
import weakref
from contextlib import suppress
from pathlib import Path

_A_MOMENT = 0.5
"""Seconds that one waits for those who only look whether somebody has the lock."""

_PAUSE = 0.05
"""Seconds between two tries."""

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)


class FileLock:
    """A lock that keeps a second process out of a folder; free when its holder ends, however it ends.

    At once on this machine; a holder's node that is lost may take a network file system a minute or two to forget.

    Processes forked from the holder, such as the workers that load data, do not hold it: they outlive a holder that
    was killed by some seconds, and nobody could continue its work meanwhile.

    Args:
        path: the lock file. It stays when the lock is given back; only who has the lock may remove it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, patience: float = _A_MOMENT) -> str | None:
        """Take the lock; wait a moment for processes that only look whether it is taken.

        Args:
            patience: seconds to wait for somebody who has it.

        Returns:
            None if it is taken, else who has it.

        Raises:
            OSError: where the file cannot be written, or the file system has no locks.
        """
        until = time.monotonic() + patience
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                free = _lock(handle, fcntl.LOCK_EX)
                if free and _is_still(self.path, handle):
                    break
                holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
            if not free and time.monotonic() >= until:
                return holder
            time.sleep(_PAUSE)
        self._handle = handle
        _held.add(self)
        with suppress(OSError):  # a full disk: the lock holds without a name
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        return None

    def release(self) -> None:
        """Give the lock back, if this process has it."""
        handle, self._handle = self._handle, None
        _held.discard(self)
        if handle is not None:
            os.close(handle)


def is_held(path: Path) -> bool:
    """Return whether a process has the lock on this file."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(handle, fcntl.LOCK_SH)
    except OSError:
        return False
    finally:
        os.close(handle)


def _lock(handle: int, kind: int) -> bool:
    """Take the lock if it is free; return whether it was."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise OSError(error.errno, f"its file system has no locks (flock): {error.strerror}") from None
    return True


def _is_still(path: Path, handle: int) -> bool:
    """Return whether the file is still the one of that name: its holder before may have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget() -> None:
    """Close the copies that a forked process has got: the lock stays with the one that took it."""
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_forget)
