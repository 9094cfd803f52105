"""Five ways to turn the scores of one class into ranks, each a function of a (methods x cases) array.

Every rule takes `weights`, how often each case counts: ones for the data themselves, the counts of a
resample for the bootstrap. So the ranking that is shown and the ranking that is resampled are the
same code. Rank 1 is the best; NaN is "no score", which is neither ranked nor counted.

A plain table of one score per class and method is ranked by the same rules, as one case per class.

Sources: the first four rules are those of challengeR (Wiesenfarth et al. 2021, Scientific Reports
11:2369). `tiers` is inferred from the printed rank sums of a published table, whose paper does not
state the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.significance import group_means, resampled_signed_rank, signed_rank
from segbench.compare.statistics.ties import Floats, Integers, Ties, accumulate, place, settle

CUTS = (0.0, 0.025, 0.05, 0.10, 0.15)


@dataclass(frozen=True)
class Options:
    """The needs of a rule besides the scores.

    Attributes:
        larger: whether a larger score is better.
        ties: the rank that equal results share, named as in `scipy.stats.rankdata`.
        cuts: for `tiers`, the largest relative shortfall of tiers 1, 2, ...
        alpha: for `significance`, the level of each one-sided test.
        groups: for `significance`, (N,) the group of each case; None = every case is its own.
    """

    larger: bool = True
    ties: Ties = "min"
    cuts: Sequence[float] = CUTS
    alpha: float = 0.05
    groups: NDArray[np.intp] | None = None


def weighted_mean(scores: Floats, weights: Floats) -> Floats:
    """Mean over the cases for which a method has a score.

    Args:
        scores: (M, N), NaN = no score.
        weights: (B, N), how often each case counts.

    Returns:
        (B, M), NaN where no case with a score counts.
    """
    valid = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        if valid.all():
            return np.asarray((weights @ scores.T) / weights.sum(axis=1, keepdims=True))
        return np.asarray((weights @ np.where(valid, scores, 0.0).T) / (weights @ valid.T))


def weighted_median(scores: Floats, weights: Floats) -> Floats:
    """Median over the cases for which a method has a score; arguments and result as `weighted_mean`.

    The median of a resample is never far from the middle of the sorted scores. How far is known once
    the weight below the middle is, so only that stretch is searched.
    """
    medians = np.full((len(weights), len(scores)), np.nan)
    orders = np.argsort(scores, axis=1, kind="stable")
    counts = np.count_nonzero(~np.isnan(scores), axis=1)
    positions = np.empty_like(orders)
    np.put_along_axis(positions, orders, np.arange(scores.shape[1])[None], axis=1)
    totals = weights @ (positions < counts[:, None]).T
    lower_halves = weights @ (positions < counts[:, None] // 2).T
    by_case = np.ascontiguousarray(weights.T, dtype=np.int32)
    for method, (values, order, count) in enumerate(zip(scores, orders, counts, strict=True)):
        total, middle = totals[:, method], count // 2
        reach = int(1.5 * np.abs(total / 2 - lower_halves[:, method]).max(initial=0.0)) + 4
        low, high = max(0, middle - reach), min(count, middle + reach)
        below = lower_halves[:, method] - by_case[order[low:middle]].sum(axis=0)
        above = total - below - by_case[order[low:high]].sum(axis=0)
        if ((2 * below >= total) | (2 * above >= total))[total > 0].any():
            low, high, below = 0, count, np.zeros_like(total)
        reached = accumulate(by_case[order[low:high]])
        lower = low + np.count_nonzero(reached < np.ceil(total / 2 - below).astype(np.int32), axis=0)
        upper = low + np.count_nonzero(reached <= np.floor(total / 2 - below).astype(np.int32), axis=0)
        ranked = np.append(values[order[:count]], np.nan)
        medians[:, method] = np.where(total > 0, (ranked[lower] + ranked[upper]) / 2, np.nan)
    return medians


def by_mean(scores: Floats, weights: Floats, options: Options) -> Floats:
    """Aggregate, then rank: ranks of the mean scores.

    Args:
        scores: (M, N), NaN = no score.
        weights: (B, N), how often each case counts.
        options: see `Options`.

    Returns:
        (B, M) ranks, NaN where a method has no score.
    """
    return place(settle(weighted_mean(scores, weights)), options.larger, options.ties)


def by_median(scores: Floats, weights: Floats, options: Options) -> Floats:
    """Ranks of the median scores; arguments and result as `by_mean`."""
    return place(settle(weighted_median(scores, weights)), options.larger, options.ties)


def ranks_of_cases(scores: Floats, larger: bool) -> Floats:
    """(M, N) rank of each method in each case, 1 = best; equal scores share the average of their ranks."""
    return place(settle(scores).T, larger, "average").T


def per_case(scores: Floats, weights: Floats, options: Options) -> Floats:
    """Rank, then aggregate: ranks of the mean rank over cases; arguments and result as `by_mean`.

    Within a case equal scores share the average of their ranks, so that every case hands out the
    same sum; `options.ties` is for equal mean ranks.
    """
    ranks = ranks_of_cases(scores, options.larger)
    return place(settle(weighted_mean(ranks, weights)), larger=False, ties=options.ties)


def by_significance(scores: Floats, weights: Floats, options: Options) -> Floats:
    """Ranks of the share of the other methods that a method beats; arguments and result as `by_mean`.

    "Beats" is a one-sided Wilcoxon signed-rank test at `options.alpha` over the cases that both
    have, not corrected for their number, on the means of each group where groups are given.
    """
    return place(significant_wins(scores, weights, options), larger=True, ties=options.ties)


def significant_wins(scores: Floats, weights: Floats, options: Options) -> Floats:
    """(B, M) share of the other methods that each method beats significantly; see `by_significance`."""
    scores, first = group_means(scores, options.groups)
    weights = weights[:, first]
    methods = len(scores)
    wins = np.zeros((len(weights), methods))
    for method in range(methods - 1):
        differences = settle(scores[method] - scores[method + 1 :], scale=scores)
        greater, less = _one_sided_tests(differences, weights)
        better, worse = (greater, less) if options.larger else (less, greater)
        wins[:, method] += np.count_nonzero(better <= options.alpha, axis=1)
        wins[:, method + 1 :] += worse <= options.alpha
    scored = weights @ (~np.isnan(scores)).T > 0
    return np.where(scored, wins / max(methods - 1, 1), np.nan)


def _one_sided_tests(differences: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(B, P) p of "greater" and of "less" for P samples of differences (P, N) in resamples (B, N)."""
    if len(weights) == 1 and (weights == 1).all():
        result = signed_rank(differences)
        return result.greater[None], result.less[None]
    small = weights.sum(axis=1).max() ** 3 < np.iinfo(np.int32).max
    columns = np.ascontiguousarray(weights.T)
    by_case: Integers = columns.astype(np.int32) if small else columns.astype(np.int64)
    tests = [resampled_signed_rank(sample, by_case) for sample in differences]
    return np.stack([greater for greater, _ in tests], axis=1), np.stack([less for _, less in tests], axis=1)


def by_tiers(scores: Floats, weights: Floats, options: Options) -> Floats:
    """Tier of the relative shortfall of the mean from the best one; arguments and result as `by_mean`.

    The shortfall is |best - s| / |best|, so 1 - s / max where larger is better. Tier t holds what
    falls short by more than `cuts[t - 2]` and by no more than `cuts[t - 1]`; one further tier holds
    the rest. Methods of one tier are equals, whatever `options.ties` says.
    """
    means = settle(weighted_mean(scores, weights))
    filled = np.where(np.isnan(means), -np.inf if options.larger else np.inf, means)
    best = (filled.max if options.larger else filled.min)(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = np.where(means == best, 0.0, np.abs(best - means) / np.abs(best))
    tiers = np.searchsorted(np.asarray(options.cuts), np.round(gaps, 12), side="left") + 1.0
    return np.where(np.isnan(means), np.nan, tiers)


@dataclass(frozen=True)
class Rule:
    """A ranking rule, and what two methods are compared by where it ranks them.

    Attributes:
        ranks: scores (M, N), weights (B, N) and options in, ranks (B, M) out.
        summary: the score shown beside the rank; same arrays in, (B, M) out.
        meaning: one sentence for the reader of the report.
        statistic: the statistic in which two methods differ: "mean", "median" or "mean rank".
        of_cases: scores (M, N) and whether larger is better in, (M, N) values out whose mean that is; None where it is
            no mean.
        test: "" for that of the statistic, or "signed-rank".
        slow: whether it is resampled only when asked for.
    """

    ranks: Callable[[Floats, Floats, Options], Floats]
    summary: Callable[[Floats, Floats], Floats]
    meaning: str
    statistic: str = "mean"
    of_cases: Callable[[Floats, bool], Floats] | None = lambda scores, larger: scores
    test: str = ""
    slow: bool = False

    @property
    def shown(self) -> str:
        """The name of the score that is shown: mean or median."""
        return "median" if self.statistic == "median" else "mean"


RULES: dict[str, Rule] = {
    "mean": Rule(by_mean, weighted_mean, "The mean over the test cases, then ranked."),
    "median": Rule(by_median, weighted_median, "The median over the test cases, then ranked.", "median", None),
    "per_case": Rule(
        per_case, weighted_mean, "Ranked in every test case; the mean rank, ranked again.", "mean rank", ranks_of_cases
    ),
    "significance": Rule(
        by_significance,
        weighted_mean,
        "Ranked by the share of the other methods beaten in a one-sided Wilcoxon signed-rank test.",
        test="signed-rank",
        slow=True,
    ),
    "tiers": Rule(
        by_tiers,
        weighted_mean,
        "The tier of the relative shortfall from the best mean score of the class (inferred rule).",
    ),
}
