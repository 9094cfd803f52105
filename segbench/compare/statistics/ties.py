"""Ranks of numbers: the one definition of a tie that rankings and tests share."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int32] | NDArray[np.int64]
Ties = Literal["min", "max", "average", "dense"]

DIGITS = 12
"""Digits that count: below them lies the noise of floating-point sums, which breaks true ties."""
LONG = 64


def place(values: Floats, larger: bool, ties: Ties = "min") -> Floats:
    """Ranks along the last axis, 1 = best.

    Args:
        values: (..., M); NaN is not ranked.
        larger: whether the largest value gets rank 1.
        ties: the rank that equal values share, named as in `scipy.stats.rankdata`.

    Returns:
        (..., M) ranks, NaN where there is no value.
    """
    if ties == "dense":
        keys, order, first = _sorted(-values if larger else values)
        dense = np.cumsum(first, axis=-1, dtype=np.float64)
        return _unsorted(dense, keys, order)
    lowest, highest = spans(-values if larger else values)
    return {"min": lowest, "max": highest, "average": (lowest + highest) / 2}[ties]


def spans(values: Floats) -> tuple[Floats, Floats]:
    """The first and the last of the ranks that equal values share, the smallest value having rank 1.

    Args:
        values: (..., M); NaN is not ranked.

    Returns:
        Two arrays (..., M), NaN where there is no value; without ties they are equal.
    """
    keys, order, first = _sorted(values)
    position = np.arange(1, keys.shape[-1] + 1, dtype=np.float64)
    lowest = np.where(first, position, 0.0)
    highest = np.full_like(lowest, position[-1] if len(position) else 0.0)
    highest[..., :-1] = np.where(first[..., 1:], position[:-1], np.inf)
    lowest = np.maximum.accumulate(lowest, axis=-1)
    highest = np.minimum.accumulate(highest[..., ::-1], axis=-1)[..., ::-1]
    return _unsorted(lowest, keys, order), _unsorted(highest, keys, order)


def _sorted(values: Floats) -> tuple[Floats, NDArray[np.intp], Bools]:
    """The values in order, where each came from, and where a new value begins."""
    order = np.argsort(values, axis=-1, kind="stable")
    keys = np.take_along_axis(values, order, axis=-1)
    first = np.ones(keys.shape, dtype=bool)
    first[..., 1:] = keys[..., 1:] != keys[..., :-1]
    return keys, order, first


def _unsorted(ranks: Floats, keys: Floats, order: NDArray[np.intp]) -> Floats:
    """The ranks where the values were, NaN where there was none."""
    result = np.empty_like(ranks)
    np.put_along_axis(result, order, np.where(np.isnan(keys), np.nan, ranks), axis=-1)
    return result


def settle(values: Floats, scale: Floats | None = None) -> Floats:
    """Round to 12 digits of the largest magnitude in `scale` (default: in the values themselves).

    Differences are rounded at the scale of what was subtracted: two equal methods then differ by
    exactly nothing.
    """
    largest = float(np.nanmax(np.abs(values if scale is None else scale), initial=0.0))
    return np.round(values, DIGITS if largest == 0 else DIGITS - int(np.ceil(np.log10(largest))))


def accumulate(counts: Integers) -> Integers:
    """Running sums down the first axis, in place.

    Row by row where rows are long: `numpy.cumsum` walks down the columns, at a tenth of the speed.
    """
    if counts.shape[1] < LONG:
        return np.cumsum(counts, axis=0, dtype=counts.dtype, out=counts)
    for row in range(1, len(counts)):
        np.add(counts[row - 1], counts[row], out=counts[row])
    return counts
