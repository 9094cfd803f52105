"""Stages of a U-Net for patches of some size and spacing: strides and kernels, by the rule of each generation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Axes = tuple[int, ...]
"""A number for each axis."""

LEAST_EDGE = 4
"""Voxels that are left along an axis at the lowest resolution."""
NEAR = 2.0
"""Voxels of less than this ratio of edges count as isotropic."""


@dataclass(frozen=True)
class Topology:
    """The stages of a U-Net, from the highest resolution to the lowest.

    Attributes:
        strides: of each stage along each axis; of the first 1.
        kernels: size of the convolutions of each stage along each axis.
        patch: size of a patch that the strides divide.
    """

    strides: tuple[Axes, ...]
    kernels: tuple[Axes, ...]
    patch: Axes

    @property
    def divisor(self) -> Axes:
        """The product of all strides along each axis."""
        return tuple(math.prod(axis) for axis in zip(*self.strides, strict=True))

    @property
    def sizes(self) -> list[Axes]:
        """The size of the features of each stage."""
        sizes, size = [], self.patch
        for stride in self.strides:
            size = tuple(n // step for n, step in zip(size, stride, strict=True))
            sizes.append(size)
        return sizes


Rule = Callable[[Sequence[float], Sequence[float]], Topology]
"""(Spacing, wanted size of the patch) -> topology, whose patch is the next larger one that the strides divide."""


def by_spacing(spacing: Sequence[float], size: Sequence[float], least_edge: int = LEAST_EDGE) -> Topology:
    """Halve axes of fine voxels first, until voxels are near isotropic, then all; down to `least_edge` voxels.

    The rule of nnU-Net since 2020 (Isensee et al., Nature Methods 2021): an axis is halved where at least `least_edge`
    voxels are left and its voxels are less than twice as long as the shortest ones among such axes; a single axis only
    where three times `least_edge` are there. Kernels are 1 along an axis until its voxels are less than twice as long
    as the shortest of all, 3 from then on.
    """
    voxel, extent = [float(edge) for edge in spacing], [float(count) for count in size]
    kernel = [1] * len(voxel)
    strides, kernels = [[1] * len(voxel)], []
    while True:
        long_enough = [edge for edge, count in zip(voxel, extent, strict=True) if count >= 2 * least_edge]
        if not long_enough:
            break
        shortest = min(long_enough)
        halved = [count >= 2 * least_edge and edge / shortest < NEAR for edge, count in zip(voxel, extent, strict=True)]
        if sum(halved) == 1 and extent[halved.index(True)] < 3 * least_edge:
            break
        kernel = [3 if edge / min(voxel) < NEAR else size for edge, size in zip(voxel, kernel, strict=True)]
        stride = [2 if is_halved else 1 for is_halved in halved]
        voxel = [edge * step for edge, step in zip(voxel, stride, strict=True)]
        extent = [math.ceil(count / step) for count, step in zip(extent, stride, strict=True)]
        strides.append(stride)
        kernels.append(kernel)
    return _topology(strides, kernels, size)


def pooled_late(spacing: Sequence[float], size: Sequence[float], least_edge: int = LEAST_EDGE) -> Topology:
    """Halve each axis as often as its size allows; axes that are halved less often begin later.

    The rule of April 2019 (arXiv 1904.08128 v1). Kernels are 3 along the axes whose voxels are at most half as long as
    the longest ones were at the start, 1 along the others; from where there is no such axis 3 along all.
    """
    voxel = [float(edge) for edge in spacing]
    times = [max(0, math.floor(math.log2(count / least_edge))) for count in size]
    longest, most = max(voxel), max(times)
    strides, kernels = [[1] * len(voxel)], []
    for step in range(most):
        reached = [edge / longest > 1 / NEAR for edge in voxel]
        kernels.append([1 if near and not all(reached) else 3 for near in reached])
        strides.append([2 if own + step >= most else 1 for own in times])
        voxel = [edge * factor for edge, factor in zip(voxel, strides[-1], strict=True)]
    return _topology(strides, kernels, size)


def by_size(
    spacing: Sequence[float], size: Sequence[float], least_edge: int = 8, most: Sequence[int] = (6, 5)
) -> Topology:
    """Halve each axis while `least_edge` voxels are left, at most so many times in 2D and 3D; kernels are 3.

    The rule of 2018 (arXiv 1809.10486): the axes that are halved less often stop earlier.
    """
    limit = most[len(size) - 2]
    # 40 voxels are halved three times to 5 in the printed table: an axis is halved while 8 or more are there.
    times = [min(limit, max(0, math.floor(math.log2(count / least_edge)) + 1)) for count in size]
    steps = range(max(times))
    strides = [[1] * len(times), *([2 if step < own else 1 for own in times] for step in steps)]
    return _topology(strides, [[3] * len(times) for _ in steps], size)


def _topology(strides: Sequence[Sequence[int]], kernels: Sequence[Sequence[int]], size: Sequence[float]) -> Topology:
    """The topology with the lowest stage's kernels, and the patch padded."""
    divisor = [math.prod(axis) for axis in zip(*strides, strict=True)]
    patch = tuple(math.ceil(count / step) * step for count, step in zip(size, divisor, strict=True))
    return Topology(tuple(map(tuple, strides)), (*map(tuple, kernels), (3,) * len(divisor)), patch)
