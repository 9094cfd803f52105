"""Differences between methods of what they are ranked by, each with its interval and its test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.significance import smallest_p
from segbench.compare.statistics.ties import Floats, settle
from segbench.compare.statistics.units import Contributions

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]

FLIPPED = 12
"""So many units are tested by all 2^12 ways to swap two methods in some of them; more, by Student's t."""
BLOCK = 2**22
"""Numbers in the largest array of a block of pairs."""


@dataclass(frozen=True)
class Effects:
    """Differences between the two methods of P pairs, first minus second; all attributes are (P,).

    Attributes:
        difference: of the statistic that methods are ranked by.
        low: lower end of its interval.
        high: upper end.
        inner_low: lower end of the narrower interval of two one-sided tests, for equivalence.
        inner_high: its upper end.
        p: two-sided.
        false_claim: probability that the method that is ahead is not the better one.
        n: independent units.
        test: name of the test.
    """

    difference: Floats
    low: Floats
    high: Floats
    inner_low: Floats
    inner_high: Floats
    p: Floats
    false_claim: Floats
    n: NDArray[np.intp]
    test: NDArray[np.object_]


def mean_effects(
    parts: Contributions, pairs: Pairs, confidence: float, seeds: tuple[Floats, int] | None = None
) -> Effects:
    """Differences of means, by what each unit contributes to them.

    The standard error is that of the paired differences, s / sqrt(n), and where seeds are known also holds the variance
    between the means over seeds, as if methods were trained again (Satterthwaite's degrees of freedom). Up to 12 units
    are tested by swapping the methods in every subset of the units (paired permutation test), more by Student's t. The
    probability of a false claim is that of Christodoulou et al. 2025 (arXiv 2505.04720, section 2.2), whose

        t_(n-1)(sqrt(n) (m_B - m_A) / sqrt(s_A^2 + s_B^2 - 2 s_A s_B r))

    is the posterior of the paired difference under a flat prior; for it, the standard error counts alike.

    Args:
        parts: of M methods, means (M,) and contributions (M, G).
        pairs: numbers of the first and of the second methods, (P,) each.
        confidence: of the intervals; 1 - confidence is the level of the tests.
        seeds: for each pair the variance of the difference between means over seeds (P,), NaN where there is none, and
            its degrees of freedom.
    """
    from scipy.special import stdtr, stdtrit

    first, second = pairs
    scale = np.nanmax(np.abs(parts.mean), initial=0.0)
    difference = settle(parts.mean[first] - parts.mean[second], np.array([scale]))
    known = ~np.isnan(parts.shares)
    counts = known.sum(axis=1)
    both = known.astype(np.float64) @ known.T
    n = (counts[first] + counts[second] - both[first, second]).astype(np.intp)
    n[np.isnan(difference)] = 0
    shares = np.where(known, parts.shares, 0.0)
    products = shares @ shares.T
    size = np.diag(products)
    squares = size[first] + size[second] - 2 * products[first, second]
    squares = np.where(squares > 1e-13 * (size[first] + size[second]), squares, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(n > 1, squares * n / (n - 1), np.nan)
        freedom = np.maximum(n - 1.0, 1.0)
        if seeds is not None:
            added, of_seeds = np.where(np.isnan(seeds[0]), 0.0, seeds[0]), seeds[1]
            parts_of = variance**2 / freedom + added**2 / max(of_seeds, 1)
            freedom = np.where((added > 0) & (parts_of > 0), (variance + added) ** 2 / parts_of, freedom)
            variance = variance + added
        error = np.sqrt(variance)
        ratio = np.where(difference == 0, 0.0, np.abs(difference) / error)
    below = np.where(np.isnan(error), np.nan, stdtr(freedom, -np.minimum(ratio, 1e12)))
    p = np.fmax(2 * below, np.where(n > 0, np.array([smallest_p(int(min(k, 99))) for k in n]), np.nan))
    p = np.where(np.isnan(below), np.nan, np.minimum(p, 1.0))
    flipped = (n > 1) & (n <= FLIPPED)
    if flipped.any():
        p[flipped] = np.maximum(
            p[flipped] if seeds is not None else 0.0,
            _flips(shares, known, first[flipped], second[flipped], difference[flipped]),
        )
    level = 1 - confidence
    outer, inner = stdtrit(freedom, 1 - level / 2) * error, stdtrit(freedom, 1 - level) * error
    return Effects(
        difference, difference - outer, difference + outer, difference - inner, difference + inner, p, below, n,
        np.where(flipped, "swaps", "t").astype(object),
    )  # fmt: skip


def _flips(
    shares: Floats, known: NDArray[np.bool_], first: NDArray[np.intp], second: NDArray[np.intp], difference: Floats
) -> Floats:
    """(P,) two-sided p of all ways to swap the methods of a pair in some of the units."""
    p = np.empty(len(first))
    for k, (i, j) in enumerate(zip(first, second, strict=True)):
        units = known[i] | known[j]
        moved = shares[i, units] - shares[j, units] + difference[k] / units.sum()
        signs = _signs(len(moved))
        p[k] = np.mean(np.abs(signs @ moved) >= np.abs(difference[k]) * (1 - 1e-10) - 1e-15)
    return p


def _signs(count: int) -> Floats:
    """(2^(count - 1), count) all signs of so many numbers, the first of which stays."""
    bits = np.arange(2 ** (count - 1))[:, None] >> np.arange(count) & 1
    return 1.0 - 2.0 * bits.astype(np.float64)


def resampled_effects(
    statistic: Floats, resamples: Floats, units: NDArray[np.intp], pairs: Pairs, confidence: float
) -> Effects:
    """Differences of a statistic without a standard error, such as the median, by its resamples.

    Percentile intervals; p is the level at which the interval ends at 0.

    Args:
        statistic: (M,) of the scores.
        resamples: (B, M) of the resamples, the same cases for all methods.
        units: (M,) independent units with a score.
        pairs: as for `mean_effects`.
        confidence: as for `mean_effects`.
    """
    first, second = pairs
    scale = np.array([np.nanmax(np.abs(statistic), initial=0.0)])
    difference = settle(statistic[first] - statistic[second], scale)
    n = np.minimum(units[first], units[second])
    level = 1 - confidence
    shares = [level / 2, level, 1 - level, 1 - level / 2]
    ends, below, above = np.full((4, len(first)), np.nan), np.full(len(first), np.nan), np.full(len(first), np.nan)
    step = max(1, BLOCK // len(resamples))
    for begin in range(0, len(first), step):
        part = slice(begin, begin + step)
        moved = settle(resamples[:, first[part]] - resamples[:, second[part]], scale)
        ends[:, part] = np.nanquantile(moved, shares, axis=0)
        draws = np.maximum(np.count_nonzero(~np.isnan(moved), axis=0), 1)
        equal = np.count_nonzero(moved == 0, axis=0) / 2
        below[part] = (np.count_nonzero(moved < 0, axis=0) + equal) / draws
        above[part] = (np.count_nonzero(moved > 0, axis=0) + equal) / draws
    wrong = np.where(difference > 0, below, np.where(difference < 0, above, 0.5))
    floor = np.array([smallest_p(int(min(max(k, 1), 99))) for k in n])
    p = np.minimum(1.0, np.maximum(2 * np.minimum(below, above), floor))
    p = np.where(np.isnan(difference) | (n == 0), np.nan, np.where(difference == 0, 1.0, p))
    return Effects(
        difference, ends[0], ends[3], ends[1], ends[2], p, np.where(np.isnan(difference), np.nan, wrong), n,
        np.full(len(first), "bootstrap", dtype=object),
    )  # fmt: skip
