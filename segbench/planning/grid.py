"""The grid on which a data set is trained: voxel size, order of the axes, and the size of its median case there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segbench.planning.fingerprint import Fingerprint

ANISOTROPY = 3.0
"""An axis whose voxels are so many times longer than those of the others is a coarse one."""


@dataclass(frozen=True)
class Grid:
    """The common grid of all cases, its axes in the order in which they are planned.

    Attributes:
        order: the axes of the data in this order: that of the largest voxels first.
        spacing: size of a voxel along each of them, in mm.
        shape: median size of the cases on this grid, in voxels; may have halves.
        original_shape: median size of the cases as they are, rounded.
        coarse: whether the first axis has so few long voxels that they are not lengthened.
    """

    order: tuple[int, int, int]
    spacing: np.ndarray
    shape: np.ndarray
    original_shape: tuple[int, ...]
    coarse: bool


def find_grid(fingerprint: Fingerprint) -> Grid:
    """The grid of median spacing, but of the 10th percentile along a coarse axis (Isensee et al. 2021, Methods).

    An axis is coarse where its median spacing is more than three times that of every other axis, and three times its
    median size is less than that of every other one: interpolation between its few slices would spoil them.
    """
    spacings, shapes = np.array(fingerprint.spacings), np.array(fingerprint.shapes)
    target, size = np.median(spacings, axis=0), np.median(shapes, axis=0)
    longest = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != longest]
    coarse = bool(target[longest] > ANISOTROPY * max(target[others]) and size[longest] * ANISOTROPY < min(size[others]))
    if coarse:
        fine = np.percentile(spacings[:, longest], 10)
        limit = max(target[others])
        target[longest] = fine if fine >= limit else limit + 1e-5  # it stays the longest
    order = (longest, *others)
    resampled = [
        [round(extent / wanted * count) for extent, wanted, count in zip(spacing, target, shape, strict=True)]
        for spacing, shape in zip(spacings, shapes, strict=True)
    ]
    return Grid(
        order=(order[0], order[1], order[2]),
        spacing=target[list(order)],
        shape=np.median(resampled, axis=0)[list(order)],
        original_shape=tuple(round(float(count)) for count in size[list(order)]),
        coarse=coarse,
    )
