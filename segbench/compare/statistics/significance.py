"""Tests of whether one method is better than another, and what makes them trustworthy together.

Paired scores are compared by Wilcoxon's signed-rank test as in R's `wilcox.test`: zero differences
are dropped; the p-value is exact for fewer than 50 differences without ties or zeros, otherwise the
normal approximation with tie and continuity correction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.ties import Bools, Floats, Integers, accumulate, spans

EXACT_BELOW = 50


@lru_cache(maxsize=EXACT_BELOW)
def _signed_rank_tail(n: int) -> Floats:
    """(n (n + 1) / 2 + 2,) probability that the signed-rank sum of n differences is at least v."""
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = np.concatenate([ways, np.zeros(rank)]) + np.concatenate([np.zeros(rank), ways])
    return np.append(np.cumsum(ways[::-1])[::-1] / 2.0**n, 0.0)


def _signed_rank_p(positive: Floats, n: Floats, ties: Floats, exact: Bools) -> tuple[Floats, Floats]:
    """One-sided p-values from the rank sum of the positive differences.

    Args:
        positive: rank sum of the positive differences.
        n: number of differences that are not zero.
        ties: sum of t^3 - t over groups of t equal magnitudes.
        exact: where the exact distribution applies.

    Returns:
        p of "greater" and p of "less", shaped as `positive`; 1 where n = 0.
    """
    from scipy.special import ndtr

    centre = n * (n + 1) / 4
    spread = np.sqrt(np.maximum(n * (n + 1) * (2 * n + 1) / 24 - ties / 48, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        greater = np.where(spread > 0, ndtr(-(positive - centre - 0.5) / spread), 1.0)
        less = np.where(spread > 0, ndtr((positive - centre + 0.5) / spread), 1.0)
    for size in np.unique(n[exact & (n > 0)]).astype(int):
        chosen = exact & (n == size)
        tail = _signed_rank_tail(size)
        rank_sum = np.rint(positive[chosen]).astype(int)
        greater[chosen] = tail[rank_sum]
        less[chosen] = tail[size * (size + 1) // 2 - rank_sum]
    return greater, less


def smallest_p(n: int) -> float:
    """The smallest two-sided p that a signed-rank test of n pairs can have: two of 2^n signs are as extreme."""
    return min(1.0, 2.0 ** (1 - n))


def pairs_needed(level: float, tests: int = 1) -> int:
    """The smallest number of pairs with which the best of some tests, adjusted by Holm, can be below a level."""
    return next(n for n in range(1, 1100) if tests * smallest_p(n) < level)


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's test of P paired samples.

    Attributes:
        n: (P,) pairs, zero differences included.
        greater: (P,) one-sided p that the differences tend to be positive.
        less: (P,) one-sided p that they tend to be negative.
        p: (P,) two-sided p.
        effect: (P,) matched-pairs rank-biserial correlation, -1 to 1, 0 where nothing differs.
    """

    n: Floats
    greater: Floats
    less: Floats
    p: Floats
    effect: Floats


def signed_rank(differences: Floats) -> SignedRank:
    """Wilcoxon signed-rank tests of many samples at once.

    Args:
        differences: (P, N), NaN = no pair; equal differences must be equal to the last digit (`settle`).
    """
    moved = np.where(differences == 0, np.nan, differences)
    lowest, highest = spans(np.abs(moved))
    middle = (lowest + highest) / 2
    positive = np.where(moved > 0, middle, 0.0).sum(axis=1)
    n = np.count_nonzero(~np.isnan(moved), axis=1).astype(np.float64)
    ties = np.nansum((highest - lowest + 1) ** 2 - 1, axis=1)
    exact = (n < EXACT_BELOW) & (ties == 0) & ~(differences == 0).any(axis=1)
    greater, less = _signed_rank_p(positive, n, ties, exact)
    total = n * (n + 1) / 2
    effect = np.divide(2 * positive - total, total, out=np.zeros_like(total), where=total > 0)
    pairs = np.count_nonzero(~np.isnan(differences), axis=1).astype(np.float64)
    # No two-sided p is below that of differences of one sign, which the approximation for ties would undercut.
    certain = np.minimum(1.0, 0.5 ** (n - 1.0))
    two_sided = np.minimum(1.0, np.maximum(2 * np.minimum(greater, less), certain))
    return SignedRank(pairs, greater, less, two_sided, effect)


def resampled_signed_rank(differences: Floats, counts: Integers) -> tuple[Floats, Floats]:
    """One-sided signed-rank tests of many resamples of one sample.

    Equal to `signed_rank` of the differences repeated by their counts, without repeating them.

    Args:
        differences: (N,), NaN = no pair; settled.
        counts: (N, B), how often each pair counts in each resample; integers that hold the third
            power of their sum.

    Returns:
        (B,) p of "greater" and (B,) p of "less".
    """
    moved = np.flatnonzero(~np.isnan(differences) & (differences != 0))
    if not len(moved):
        return np.ones(counts.shape[1]), np.ones(counts.shape[1])
    zeros = counts[differences == 0].any(axis=0)
    order = moved[np.argsort(np.abs(differences[moved]), kind="stable")]
    magnitudes = np.abs(differences[order])
    starts = np.flatnonzero(np.r_[True, magnitudes[1:] != magnitudes[:-1]])
    tied = counts[order]
    positive = differences[order] > 0
    if len(starts) < len(order):
        wins = np.add.reduceat(tied * positive[:, None], starts, axis=0)
        tied = np.add.reduceat(tied, starts, axis=0)
        positive = np.asarray(wins.any(axis=1))
        wins = wins[positive]
    else:
        wins = tied[positive]
    ties = np.asarray(np.sum(tied * (tied * tied - 1), axis=0, dtype=np.float64))
    own = tied[positive]
    reached = accumulate(tied)
    n = reached[-1].astype(np.float64)
    rank_sum = np.asarray(np.sum(wins * (2 * reached[positive] - own + 1), axis=0, dtype=np.float64) / 2)
    return _signed_rank_p(rank_sum, n, ties, (n < EXACT_BELOW) & (ties == 0) & ~zeros)


def group_means(scores: Floats, groups: NDArray[np.intp] | None) -> tuple[Floats, NDArray[np.intp]]:
    """Mean score of each group: cases of one patient are not independent, so tests count patients.

    Args:
        scores: (M, N), NaN = no score.
        groups: (N,) group number of each case, or None: every case is its own group.

    Returns:
        (M, G) means, NaN where a group has no score, and (G,) the first case of each group.
    """
    if groups is None:
        return scores, np.arange(scores.shape[1])
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    membership = np.zeros((scores.shape[1], len(first)))
    membership[np.arange(scores.shape[1]), member] = 1.0
    valid = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        return (np.where(valid, scores, 0.0) @ membership) / (valid @ membership), first


def holm(p: Floats) -> Floats:
    """Holm's step-down adjustment of a family of p-values (Holm 1979); NaN stays and does not count."""
    adjusted = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return adjusted


def median_of_known(values: Floats) -> Floats:
    """(P,) median of each line of (P, N) values; NaN does not count."""
    ordered = np.sort(values, axis=1)
    counts = np.count_nonzero(~np.isnan(ordered), axis=1)
    lines, last = np.arange(len(ordered)), np.maximum(counts - 1, 0)
    return np.asarray((ordered[lines, last // 2] + ordered[lines, (last + 1) // 2]) / 2)
