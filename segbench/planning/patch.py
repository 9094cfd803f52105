"""The size from which the search for a patch starts: as large as makes sense."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Start = Callable[[np.ndarray, np.ndarray], Sequence[float]]
"""(Spacing, median size of the cases) -> a size that may be too large for the memory."""


def same_extent(spacing: np.ndarray, median: np.ndarray, edge: int) -> list[float]:
    """As long in mm along every axis, with as many voxels as a patch of `edge` voxels along each; at most the median.

    Source: nnU-Net v2 (Isensee et al. 2021 and later).
    """
    density = 1 / spacing
    dims = len(spacing)
    wanted = density * (edge**dims / np.prod(density)) ** (1 / dims)
    return [min(round(float(size)), float(most)) for size, most in zip(wanted, median, strict=True)]


def extent_of(spacing: np.ndarray, median: np.ndarray, mm: float) -> list[float]:
    """So many `mm` along the axis of the longest voxels, and as many along the others; at most the median.

    Source: nnU-Net of April 2019 (arXiv 1904.08128 v1).
    """
    return [float(min(size, most)) for size, most in zip(np.round(mm / spacing), np.round(median), strict=True)]


def whole(spacing: np.ndarray, median: np.ndarray) -> list[float]:
    """The median case."""
    return [float(size) for size in np.round(median)]


def same_shape(spacing: np.ndarray, median: np.ndarray, voxels: int) -> list[float]:
    """A patch of the median case's shape, of `voxels` voxels or, where it is smaller, all of it.

    Source: the decathlon's nnU-Net (arXiv 1809.10486).
    """
    scale = min(1.0, (voxels / float(np.prod(median))) ** (1 / len(median)))
    return [float(size) for size in np.maximum(1, np.round(median * scale))]
