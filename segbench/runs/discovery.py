"""The run directories below a folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from segbench.errors import UserError

RECORD = "run.json"


def find_runs(places: str | Iterable[str], may_be_none: bool = False, key: str = "runs") -> list[Path]:
    """Run directories in folders, at any depth; a place may also be a run directory or a glob.

    Args:
        places: where to look.
        may_be_none: whether to return an empty list where there is no run directory.
        key: that the places were given by, for messages.

    Raises:
        UserError: if a place does not exist, or there is no run directory in all of them.
    """
    places = [places] if isinstance(places, str) else list(places)
    found: dict[Path, Path] = {}
    for place in places:
        matches = sorted(glob.glob(os.path.expanduser(place), recursive=True))
        if not matches:
            raise UserError(f"{key}={place}: there is no such folder")
        for match in matches:
            for path in _run_directories(Path(match)):
                found.setdefault(path.resolve(), path)
    if not found and not may_be_none:
        raise UserError(f"{key}={','.join(places)}: no run directory in there (a folder with a {RECORD})")
    return list(found.values())


def _run_directories(folder: Path) -> list[Path]:
    """Run directories at or below a folder; nothing is looked for inside of a run directory."""
    directories = []
    for path, folders, files in os.walk(folder):
        if RECORD in files or {"config.yaml", "checkpoints"} <= {*files, *folders}:
            directories.append(Path(path))
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
    return sorted(directories)
