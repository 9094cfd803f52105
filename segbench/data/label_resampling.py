"""Label maps of whole cases at another shape: linearly, class against class, as nnU-Net does.

The class of a new pixel is the one whose indicator, linearly interpolated, is largest there; of equal ones the
nearest pixel's. Between pixels of one class there is nothing to weigh: only where classes meet are weights summed,
so that the cost does not grow with the number of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.volume_resampling import nearest_pixels

_SLAB = 2**21
"""Pixels that are resampled at a time. Sets speed and memory only."""

_EQUAL = 1e-9
"""Weights that differ by less are equal but for rounding."""


def resample_label(label: np.ndarray, shape: Sequence[int], separate_axis: int | None = None) -> np.ndarray:
    """A label map (*S) at another shape: (*shape), of its type.

    Args:
        label: integers.
        shape: (D,) pixels.
        separate_axis: along which the nearest slices are taken, each resampled alone; None: all are interpolated.
    """
    if label.shape == tuple(shape):
        return label.copy()
    axes = [
        _Axis.nearest_of(old, new) if axis == separate_axis else _Axis.between(old, new)
        for axis, (old, new) in enumerate(zip(label.shape, shape, strict=True))
    ]
    mixed = _mixed(label, [axis for axis in range(label.ndim) if axis != separate_axis])
    result = np.empty(tuple(shape), dtype=label.dtype)
    step = max(1, _SLAB // max(1, int(np.prod(shape[1:]))))
    for start in range(0, len(result), step):
        rows = slice(start, start + step)
        part = [axes[0].part(rows), *axes[1:]]
        out = result[rows]
        out[...] = _taken(label, [axis.nearest for axis in part])
        unsure = np.nonzero(_taken(mixed, [axis.low for axis in part]))
        out[unsure] = _heaviest(label, part, unsure)
    return result


@dataclass(frozen=True)
class _Axis:
    """The pixels of an axis that each new one lies between: (new,) each.

    Attributes:
        low: the pixel before.
        high: the pixel after; beyond the border, the same.
        weight: of the pixel after, float64; that of the pixel before is what is left to 1.
        nearest: the pixel whose area holds the new one's centre.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: NDArray[np.float64]
    nearest: NDArray[np.intp]

    @classmethod
    def between(cls, old: int, new: int) -> _Axis:
        """Linear interpolation."""
        position = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
        low = np.floor(position).astype(np.intp)
        return cls(low, np.minimum(low + 1, old - 1), position - low, nearest_pixels(old, new))

    @classmethod
    def nearest_of(cls, old: int, new: int) -> _Axis:
        """All weight on the nearest pixel."""
        nearest = nearest_pixels(old, new)
        return cls(nearest, nearest, np.zeros(new), nearest)

    def part(self, rows: slice) -> _Axis:
        """The same of some of the new pixels."""
        return _Axis(self.low[rows], self.high[rows], self.weight[rows], self.nearest[rows])


def _mixed(label: np.ndarray, axes: Sequence[int]) -> NDArray[np.bool_]:
    """True (*S) where a pixel and the next ones along the axes, diagonals too, are not all of one class."""
    low, high = label.copy(), label.copy()
    for axis in axes:
        for array, extreme in ((low, np.minimum), (high, np.maximum)):
            lines = np.moveaxis(array, axis, 0)
            extreme(lines[:-1], lines[1:], out=lines[:-1])
    return np.asarray(low != high)


def _taken(array: np.ndarray, indices: Sequence[NDArray[np.intp]]) -> np.ndarray:
    """The pixels of the given rows, columns, .. of an array."""
    for axis, index in enumerate(indices):
        array = array.take(index, axis)
    return array


def _heaviest(label: np.ndarray, axes: Sequence[_Axis], pixels: tuple[NDArray[Any], ...]) -> np.ndarray:
    """The class of the largest weight at N new pixels, whose index along each axis is given: (N,)."""
    along = list(zip(axes, pixels, strict=True))
    sides = [((axis.low[at], 1 - axis.weight[at]), (axis.high[at], axis.weight[at])) for axis, at in along]
    corners = list(product(*sides))
    values = np.stack([label[tuple(at for at, _ in corner)] for corner in corners])
    shares = np.stack([np.prod([share for _, share in corner], axis=0) for corner in corners])

    def weight_of(classes: np.ndarray) -> NDArray[np.float64]:
        return np.asarray((shares * (values == classes)).sum(axis=0))

    nearest = label[tuple(axis.nearest[at] for axis, at in along)]
    weights = np.stack([weight_of(value) for value in values])
    most = weights.max(axis=0) - _EQUAL
    lowest = np.where(weights >= most, values, np.iinfo(label.dtype).max).min(axis=0)
    result: np.ndarray = np.where(weight_of(nearest) >= most, nearest, lowest)
    return result
