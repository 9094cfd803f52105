"""A lock on a file, held by one process for as long as it lives."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

import filelock

_A_MOMENT = 0.5
"""Seconds to wait for processes that only look whether the lock is taken."""

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


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
        # A file system without locks is refused: what filelock would use instead, outlives a holder that was killed.
        self._lock = filelock.FileLock(
            path, thread_local=False, fallback_to_soft=False, preserve_lock_file=True, on_acquired=_sign
        )

    def acquire(self, patience: float = _A_MOMENT) -> str | None:
        """Take the lock; wait a moment for processes that only look whether it is taken.

        Args:
            patience: seconds to wait for somebody who has it; infinity: for as long as it takes.

        Returns:
            None if it is taken, else who has it.

        Raises:
            OSError: where the file cannot be written, or the file system has no locks.
        """
        try:
            self._lock.acquire(timeout=patience)
        except filelock.Timeout:
            return self._holder()
        except OSError as error:
            if error.errno in _WITHOUT_LOCKS:
                raise OSError(error.errno, f"its file system has no locks (flock): {error.strerror}") from None
            raise
        _held.add(self)
        return None

    def release(self) -> None:
        """Give the lock back, if this process has it."""
        self._lock.release(force=True)
        _held.discard(self)

    def _holder(self) -> str:
        with suppress(OSError):
            return self.path.read_text(errors="replace")[:200].strip() or "another process"
        return "another process"


def is_held(path: Path) -> bool:
    """Return whether a process has the lock on this file, without taking it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        return error.errno == errno.EACCES  # as some network file systems say that it is taken
    finally:
        os.close(handle)
    return False


_held: set[FileLock] = set()
"""The locks of this process: filelock would give back a lock that nobody refers to any more."""


def _sign(handle: int) -> None:
    """Sign the lock file with this process and its machine."""
    with suppress(OSError):  # a full disk: the lock holds without a name
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
