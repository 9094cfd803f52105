"""Files of a cache, opened where they are whole: others are made anew by whoever made them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from segbench.data.case_meta import CaseMeta
from segbench.data.chunked import SUFFIX, ChunkedArray, write_chunked

INDEX = "index.json"
"""Written last: a folder that has it is complete."""


class DamagedError(Exception):
    """A file of a cache is not there, cut off, or something else than it was."""


def open_array(path: Path, shape: Sequence[int] | None = None) -> np.ndarray:
    """Return a memory map of a cached array.

    Args:
        path: its file.
        shape: that it must have; None: any.

    Raises:
        DamagedError: where it is not whole. The values are not looked at.
    """
    try:
        array: np.ndarray = (
            ChunkedArray(path) if path.suffix == SUFFIX else np.load(path, mmap_mode="r")  # type: ignore[assignment]
        )
    except (OSError, ValueError, EOFError, RuntimeError) as error:
        raise DamagedError(str(error)) from error
    if shape is not None and array.shape != tuple(shape):
        raise DamagedError(f"it has the shape {array.shape} instead of {tuple(shape)}")
    return array


def is_whole_array(path: Path, shape: Sequence[int] | None = None) -> bool:
    """Return whether a cached array is there and whole; its values are not looked at."""
    try:
        open_array(path, shape)
    except DamagedError:
        return False
    return True


def array_path(path: Path, volume: bool) -> Path:
    """The file of an array of a case, by its path without suffix: in chunks, where it is that of a volume."""
    return path.with_name(path.name + (SUFFIX if volume else ".npy"))


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array, and wait until the disk has it: some file systems report only then that they are full."""
    if path.suffix == SUFFIX:
        write_chunked(path, array)
        return
    with path.open("w+b") as file:  # read too: of a file for writing NumPy passes on that it failed, but not why
        np.save(file, array)
        _flush(file)


def read_index(folder: Path) -> tuple[str, dict[str, CaseMeta]] | None:
    """The fingerprint and the cases of a folder; None where it is not complete, or its index is damaged.

    Raises:
        OSError: where it cannot be read.
    """
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return str(content["fingerprint"]), {value["id"]: CaseMeta.from_json(value) for value in content["cases"]}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_index(folder: Path, dataset: str, fingerprint: str, cases: Sequence[CaseMeta]) -> None:
    """Write the index of a folder."""
    content = {"dataset": dataset, "fingerprint": fingerprint, "cases": [asdict(case) for case in cases]}
    with (folder / INDEX).open("w") as file:
        json.dump(content, file)
        _flush(file)


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
