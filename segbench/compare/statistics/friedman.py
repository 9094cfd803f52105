"""Many methods on many cases: Friedman's test, Nemenyi's critical difference and its cliques.

Source: Demsar 2006, "Statistical comparisons of classifiers over multiple data sets", JMLR 7:1-30.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.ties import Bools, Floats, place, settle


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of M methods on N cases.

    Attributes:
        cases: N, the cases in which every method has a score.
        mean_ranks: (M,) 1 = best; tied scores share the average rank.
        chi2: Friedman's statistic as Demsar prints it, blind to ties.
        p_chi2: its p-value, chi-squared with M - 1 degrees of freedom.
        f: Iman and Davenport's less conservative statistic.
        p_f: its p-value, F with M - 1 and (M - 1)(N - 1) degrees of freedom.
        p: p-value of the statistic corrected for ties, as `scipy.stats.friedmanchisquare`.
        critical_difference: mean ranks further apart than this differ significantly (Nemenyi).
        p_pairs: (M, M) Nemenyi's p-value of each pair.
        alpha: level of `critical_difference`.
    """

    cases: int
    mean_ranks: Floats
    chi2: float
    p_chi2: float
    f: float
    p_f: float
    p: float
    critical_difference: float
    p_pairs: Floats
    alpha: float


def friedman(scores: Floats, larger: bool, alpha: float = 0.05) -> Friedman:
    """Test whether any of the methods differs from the others.

    Args:
        scores: (M, N) with M >= 2; cases in which a method has none (NaN) are left out.
        larger: whether a larger score is better.
        alpha: level of the critical difference.

    Raises:
        ValueError: if fewer than two cases are left, or fewer than two methods.
    """
    complete = scores[:, ~np.isnan(scores).any(axis=0)]
    if len(complete) < 2 or complete.shape[1] < 2:
        raise ValueError("Friedman's test needs two methods and two cases in which both have a score")
    return friedman_of_ranks(place(settle(complete).T, larger, "average"), alpha)


def friedman_of_ranks(ranks: Floats, alpha: float = 0.05) -> Friedman:
    """Friedman's test from the ranks themselves, (N, M); see `friedman`."""
    from scipy.special import chdtrc, fdtrc

    n, k = ranks.shape
    mean_ranks = ranks.mean(axis=0)
    chi2 = 12 * n / (k * (k + 1)) * (np.sum(mean_ranks**2) - k * (k + 1) ** 2 / 4)
    remaining = n * (k - 1) - chi2
    f = (n - 1) * chi2 / remaining if remaining > 0 else np.inf
    untied = n * k * (k**2 - 1) / 12
    sum_of_squares = np.sum((ranks - (k + 1) / 2) ** 2)
    corrected = chi2 * untied / sum_of_squares if sum_of_squares > 0 else 0.0
    error = np.sqrt(k * (k + 1) / (6 * n))
    first, second = np.triu_indices(k, k=1)
    p_pairs = np.ones((k, k))
    p_pairs[first, second] = p_pairs[second, first] = range_tail(
        np.abs(mean_ranks[first] - mean_ranks[second]) / error * np.sqrt(2), k
    )
    return Friedman(
        cases=n,
        mean_ranks=mean_ranks,
        chi2=float(chi2),
        p_chi2=float(chdtrc(k - 1, chi2)),
        f=float(f),
        p_f=float(fdtrc(k - 1, (k - 1) * (n - 1), f)),
        p=float(chdtrc(k - 1, corrected)),
        critical_difference=float(nemenyi_quantile(k, alpha) * error),
        p_pairs=p_pairs,
        alpha=alpha,
    )


def nemenyi_quantile(methods: int, alpha: float = 0.05) -> float:
    """The q of Nemenyi's test: the studentized range quantile over the square root of 2 (Demsar, table 5a)."""
    low, high = 0.0, 40.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if range_tail(np.array(middle), methods) > alpha else (low, middle)
    return float(high / np.sqrt(2))


def range_tail(q: Floats, methods: int) -> Floats:
    """P(range of k standard normal numbers > q), the studentized range with infinite degrees of freedom.

    k times the integral over z of phi(z) (Phi(z)^(k - 1) - (Phi(z) - Phi(z - q))^(k - 1)), on an even
    grid, which is as exact as float64 for so smooth a function. (`scipy.stats` has it too, but takes
    longer to import than a whole comparison takes.)

    Args:
        q: any shape.
        methods: k.
    """
    from scipy.special import log_ndtr

    z = np.linspace(-9.0, 30.0, 391)
    phi = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    below = log_ndtr(z)
    share = np.minimum(np.exp(log_ndtr(z - np.asarray(q)[..., None]) - below), 1.0)
    with np.errstate(divide="ignore"):
        excess = -np.expm1((methods - 1) * np.log1p(-share))
    return np.asarray(methods * np.sum(phi * np.exp((methods - 1) * below) * excess, axis=-1) * (z[1] - z[0]))


def cliques(alike: Bools | NDArray[np.int_]) -> list[list[int]]:
    """Groups of methods that are not significantly different.

    Args:
        alike: (M, M) in rank order, true where two methods do not differ significantly. Row i says
            with whom method i stands together.

    Returns:
        Positions of each group, best first; no single methods, no group inside another.
    """
    groups = [frozenset(np.flatnonzero(row).tolist()) for row in np.asarray(alike)]
    kept = [g for i, g in enumerate(groups) if len(g) > 1 and g not in groups[:i] and not any(g < o for o in groups)]
    return [sorted(group) for group in kept]


def rank_cliques(mean_ranks: Sequence[float] | Floats, critical_difference: float) -> list[list[int]]:
    """The bars of a critical-difference diagram.

    Args:
        mean_ranks: (M,) in rank order.
        critical_difference: ranks no further apart than this belong together.
    """
    ranks = np.asarray(mean_ranks)
    reach = ranks[None] - ranks[:, None]
    return cliques((reach >= 0) & (reach <= critical_difference))
