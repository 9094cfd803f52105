"""Files and folders that are there whole or not at all: temporary name, flush, rename."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segbench.errors import UserError

_TEMPORARY = ".*.tmp"
"""The temporary names given here and to checkpoints."""


def write_atomically(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Write a file so that a crash at any instant leaves the old one or the new one.

    Args:
        path: the file.
        content: bytes, text, or a function that writes the file under the temporary path it is given.

    Raises:
        UserError: where it cannot be written; what was there before is then still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
        alone: nobody else fills this folder now: what killed processes have left is removed.

    Raises:
        OSError: where it cannot be written.
    """
    temporary, former = (folder.with_name(f".{folder.name}.{os.getpid()}{end}.tmp") for end in ("", ".former"))
    if alone:
        for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
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
