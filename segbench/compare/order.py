"""Ranks of numbers: the one definition of a tie that rankings and tests share."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
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
    keys = -values if larger else values
    order = np.argsort(keys, axis=-1, kind="stable")
    keys = np.take_along_axis(keys, order, axis=-1)
    first = np.ones(keys.shape, dtype=bool)
    first[..., 1:] = keys[..., 1:] != keys[..., :-1]
    if ties == "dense":
        shared = np.cumsum(first, axis=-1, dtype=np.float64)
    else:
        last = np.ones_like(first)
        last[..., :-1] = first[..., 1:]
        position = np.arange(1, keys.shape[-1] + 1, dtype=np.float64)
        lowest = np.maximum.accumulate(np.where(first, position, 0.0), axis=-1)
        highest = np.minimum.accumulate(np.where(last, position, np.inf)[..., ::-1], axis=-1)[..., ::-1]
        share = {"min": 0.0, "average": 0.5, "max": 1.0}[ties]
        shared = (1 - share) * lowest + share * highest
    shared[np.isnan(keys)] = np.nan
    ranks = np.empty_like(shared)
    np.put_along_axis(ranks, order, shared, axis=-1)
    return ranks


def settle(values: Floats, scale: Floats | None = None) -> Floats:
    """Rounds to 12 digits of the largest magnitude in `scale` (default: in the values themselves).

    Differences are rounded at the scale of what was subtracted: two equal methods then differ by
    exactly nothing.
    """
    largest = float(np.nanmax(np.abs(values if scale is None else scale), initial=0.0))
    return np.round(values, DIGITS if largest == 0 else DIGITS - int(np.ceil(np.log10(largest))))


def accumulate(counts: NDArray[np.int32]) -> NDArray[np.int32]:
    """Running sums down the first axis, in place.

    Row by row where rows are long: `numpy.cumsum` walks down the columns, at a tenth of the speed.
    """
    if counts.shape[1] < LONG:
        return np.cumsum(counts, axis=0, dtype=np.int32, out=counts)
    for row in range(1, len(counts)):
        np.add(counts[row - 1], counts[row], out=counts[row])
    return counts
