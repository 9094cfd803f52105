"""Files and folders that are there whole or not at all: temporary name, flush, rename."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from segbench.errors import UserError

_TEMPORARY = ".*.tmp"
"""The temporary names given here and to checkpoints."""

_OWNER = re.compile(r"\.(?P<machine>[0-9a-f]{6})-(?P<process>\d+)(\.former)?\.tmp$")

_LONG_AGO = 86400.0
"""Seconds without any change after which what another machine has left is taken for abandoned."""


def write_atomically(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Write a file so that a crash at any instant leaves the old one or the new one.

    Args:
        path: the file.
        content: bytes, text, or a function that writes the file under the temporary path it is given.

    Raises:
        UserError: where it cannot be written; what was there before is then still there.
    """
    temporary = path.with_name(f".{path.name}.{_owner()}.tmp")
    try:
        try:
            if callable(content):
                content(temporary)
            else:
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            commit(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


def commit(temporary: Path, path: Path) -> None:
    """Put a complete file under its final name, once its bytes are on the disk."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def replaced(folder: Path, mark: str | None = None, alone: bool = False) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when it is complete; where filling it fails, nothing changes.

    Args:
        folder: made anew, as are the folders above where they are not there.
        mark: a file that only a complete folder has: where another process was quicker, its folder stays.
        alone: nobody else fills this folder now: whatever is left of others is removed, else what is left of processes
            that are gone.

    Raises:
        OSError: where it cannot be written.
    """
    temporary, former = (folder.with_name(f".{folder.name}.{_owner()}{end}.tmp") for end in ("", ".former"))
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
        if alone or _is_abandoned(leftover):
            if not alone and leftover.name.endswith(".former.tmp") and not folder.exists():
                leftover.rename(folder)  # its process was killed between the two renames below
            else:
                shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if not _is_complete(folder, mark):
            with suppress(FileNotFoundError):
                folder.rename(former)
            try:
                temporary.rename(folder)
            except OSError:
                if former.exists() and not folder.exists():
                    former.rename(folder)
                if not _is_complete(folder, mark):
                    raise
    finally:
        for rest in (temporary, former):
            shutil.rmtree(rest, ignore_errors=True)


def _is_complete(folder: Path, mark: str | None) -> bool:
    return mark is not None and (folder / mark).exists()


def remove_leftovers(folder: Path, *places: str) -> None:
    """Remove the temporary files that killed processes have left.

    Args:
        folder: where nobody else is writing now.
        places: the folders in it that are looked into, with all that they hold; "" is the folder itself, without.
    """
    for place in places:
        inside = folder / place
        for path in inside.rglob(_TEMPORARY) if place else inside.glob(_TEMPORARY):
            path.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files at any depth of a folder whose processes are gone, though others may write there."""
    for path in folder.rglob(_TEMPORARY):
        if path.is_file() and _is_abandoned(path):
            path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    """Return whether the process that has made a temporary file or folder is gone.

    The numbers of processes are those of this machine alone, and of this container. What comes from elsewhere, such as
    another node of a cluster, is abandoned when nothing in it has changed for a day.
    """
    owner = _OWNER.search(path.name)
    if owner is not None and owner["machine"] == _machine():
        return not _is_alive(int(owner["process"]))
    try:
        newest = max(entry.stat(follow_symlinks=False).st_mtime for entry in (path, *path.rglob("*")))
    except OSError:  # somebody is at work there
        return False
    return time.time() - newest > _LONG_AGO


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _owner() -> str:
    """The part of a temporary name that says whose it is."""
    return f"{_machine()}-{os.getpid()}"


@cache
def _machine() -> str:
    """Six hex digits for this machine since it was started, and for the container in which processes are counted."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # Linux alone
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:6]
