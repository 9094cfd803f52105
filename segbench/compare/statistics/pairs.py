"""Every pair of methods on every row: test, effect size, wins, and whether seeds alone explain the gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.compare.statistics.scores import Scores
from segbench.compare.statistics.significance import group_means, holm, median_interval, signed_rank
from segbench.compare.statistics.ties import Floats, settle

BLOCK = 2**21
"""Differences tested at once."""


def pairwise_tests(score_sets: Sequence[Scores], confidence: float = 0.95) -> pd.DataFrame:
    """Compare every two methods on every row of every score set.

    Scores are paired by case, or by group where groups are known. Two methods without a common case
    are compared by the rank-sum test (Mann and Whitney) instead, and the column `test` says so.
    p-values are adjusted by Holm within a row: one family is all pairs of one metric of one class of
    one data set.

    Args:
        score_sets: the scores.
        confidence: of the intervals; tests are made at 1 - confidence.

    Returns:
        A line for each pair and row: dataset, trained_on, split, metric, class, method, other, test,
        n (pairs), difference (median of method - other) with low and high, mean_difference, wins, ties
        and losses of `method`, effect (rank-biserial correlation, positive where `method` has larger
        scores), p, p_holm, better (the significantly better one, or empty), seed_noise (the gap that a
        change of seeds alone exceeds in 1 - confidence of all pairs), within_seed_noise.
    """
    lines = [_row_tests(scores, row, confidence) for scores in score_sets for row in range(len(scores.rows))]
    return pd.concat(lines, ignore_index=True)


def _row_tests(scores: Scores, row: int, confidence: float) -> pd.DataFrame:
    values, _ = group_means(scores.values[row], scores.units)
    first, second = np.triu_indices(len(values), k=1)
    step = max(1, BLOCK // values.shape[1])
    parts = [_paired(values, first[k : k + step], second[k : k + step], confidence) for k in range(0, len(first), step)]
    tests = pd.concat(parts, ignore_index=True)
    tests["test"] = "signed-rank"
    tests.loc[tests["n"] == 0, "p"] = np.nan
    scored = np.asarray(~np.isnan(values).all(axis=1))
    for pair in np.flatnonzero((tests["n"].to_numpy() == 0) & scored[first] & scored[second]):
        for column, value in _unpaired(values[first[pair]], values[second[pair]]).items():
            tests.loc[pair, column] = value
    if not scores.larger[row]:
        tests = tests.rename(columns={"wins": "losses", "losses": "wins"})
    tests["p_holm"] = holm(tests["p"].to_numpy())
    names = np.array(scores.methods, dtype=object)
    leads = (tests["effect"].to_numpy() > 0) == scores.larger[row]
    significant = tests["p_holm"].to_numpy() < round(1 - confidence, 12)
    noise = seed_noise(scores.repeats[row], confidence)[first, second]
    return tests.assign(
        dataset=scores.dataset,
        trained_on=scores.trained_on,
        split=scores.split,
        metric=scores.rows[row].metric,
        **{"class": scores.rows[row].label},
        method=names[first],
        other=names[second],
        better=np.where(significant, np.where(leads, names[first], names[second]), ""),
        seed_noise=noise,
        within_seed_noise=np.abs(tests["mean_difference"].to_numpy()) < noise,
    )[COLUMNS]


COLUMNS = [
    *("dataset", "trained_on", "split", "metric", "class", "method", "other", "test", "n"),
    *("difference", "low", "high", "mean_difference", "wins", "ties", "losses", "effect"),
    *("p", "p_holm", "better", "seed_noise", "within_seed_noise"),
]


def _paired(values: Floats, first: NDArray[np.intp], second: NDArray[np.intp], confidence: float) -> pd.DataFrame:
    differences = settle(values[first] - values[second], scale=values)
    result = signed_rank(differences)
    median, low, high = median_interval(differences, confidence)
    known = ~np.isnan(differences)
    counts = np.maximum(known.sum(axis=1), 1)
    return pd.DataFrame(
        {
            "n": result.n.astype(np.int64),
            "difference": median,
            "low": low,
            "high": high,
            "mean_difference": np.where(result.n > 0, np.where(known, differences, 0.0).sum(axis=1) / counts, np.nan),
            "wins": np.count_nonzero(differences > 0, axis=1),
            "ties": np.count_nonzero(differences == 0, axis=1),
            "losses": np.count_nonzero(differences < 0, axis=1),
            "effect": result.effect,
            "p": result.p,
        }
    )


def _unpaired(first: Floats, second: Floats) -> dict[str, float | str]:
    """The rank-sum test of two methods that share no case."""
    from scipy.stats import mannwhitneyu

    first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    result = mannwhitneyu(first, second)
    return {
        "test": "rank-sum",
        "difference": float(np.median(first) - np.median(second)),
        "mean_difference": float(first.mean() - second.mean()),
        "effect": float(2 * result.statistic / (len(first) * len(second)) - 1),
        "p": float(result.pvalue),
    }


def seed_noise(repeats: Floats, confidence: float = 0.95) -> Floats:
    """The gap between two methods that their seeds alone explain.

    Fisher's least significant difference between means over seeds, with the variance between the
    seeds of one method pooled over the methods.

    Args:
        repeats: (M, S) mean score of each repetition, NaN where there is none.
        confidence: 0.95 for a gap that chance exceeds in 1 of 20 pairs.

    Returns:
        (M, M), NaN where no method was repeated.
    """
    from scipy.special import stdtrit

    known = ~np.isnan(repeats)
    counts = known.sum(axis=1)
    means = np.where(known, repeats, 0.0).sum(axis=1) / np.maximum(counts, 1)
    squares = np.where(known, (repeats - means[:, None]) ** 2, 0.0).sum()
    freedom = int(np.maximum(counts - 1, 0).sum())
    if not freedom:
        return np.full((len(repeats), len(repeats)), np.nan)
    with np.errstate(divide="ignore"):
        share = np.where(counts > 0, 1 / counts, np.nan)
    limit = stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(squares / freedom)
    return np.asarray(limit * np.sqrt(share[:, None] + share[None]))
