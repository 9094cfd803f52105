"""Volumes on disk in compressed chunks, of which a patch reads only its own.

By blosc2, as in nnU-Net since version 2.5: one file for each array, in which zarr has one for each chunk. Blocks are
decompressed at a time, about 32 pixels a side; chunks are listed in the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

SUFFIX = ".b2nd"

_BLOCK = 32
_CHUNK = 128


class ChunkedArray:
    """A volume on disk: what is sliced is read, and `numpy.asarray` reads all.

    Args:
        path: of a file that `write_chunked` has written.

    Raises:
        OSError, ValueError, RuntimeError: where it is damaged.
    """

    def __init__(self, path: Path) -> None:
        import blosc2

        self._array: Any = blosc2.open(str(path), mode="r", mmap_mode="r", dparams={"nthreads": 1})
        self.shape: tuple[int, ...] = tuple(self._array.shape)
        self.dtype = np.dtype(self._array.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._array[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._array[...], dtype=dtype)

    def __len__(self) -> int:
        return self.shape[0]


def write_chunked(path: Path, array: np.ndarray) -> None:
    """Write a volume (*S) or (C, *S) of three spatial axes, and wait until the disk has it."""
    import blosc2

    extra = array.ndim - 3
    blocks = (*(1,) * extra, *(min(_BLOCK, size) for size in array.shape[extra:]))
    chunks = (*(1,) * extra, *(min(_CHUNK, size) for size in array.shape[extra:]))
    stored = blosc2.empty(
        array.shape,
        array.dtype,
        urlpath=str(path),
        mode="w",
        chunks=chunks,
        blocks=blocks,
        cparams={"codec": blosc2.Codec.ZSTD, "clevel": 5, "nthreads": 1},
    )
    for index in np.ndindex(array.shape[:extra]):
        for start in range(0, array.shape[extra], _CHUNK):
            place = (*index, slice(start, start + _CHUNK))
            stored[place] = np.ascontiguousarray(array[place])
    with path.open("rb") as file:
        os.fsync(file.fileno())
