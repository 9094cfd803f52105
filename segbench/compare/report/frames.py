"""The result as tables for other programs: scores, ranks and rank sums, one number to a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from segbench.compare.reading.methods import COSTS, Method
from segbench.compare.statistics.comparison import TOTAL, Comparison
from segbench.compare.statistics.scores import Row, Scores
from segbench.compare.statistics.ties import Floats

RANK_SUM = "rank sum"


def score_frame(comparison: Comparison) -> pd.DataFrame:
    """Score of every method in every row, and its mean over the classes.

    Returns:
        dataset, trained_on, split, metric, class, method; score (mean or median over the cases, as the
        ranking rule has it) with low and high, interval (how it was computed), units (independent ones behind it) and
        warning (why it cannot be taken at its word); sd over the cases; cases with a score; absent (cases
        that lack the class in reference and prediction); seeds and seed_sd (standard deviation of the
        score between seeds).
    """
    lines = []
    for scores, mean, summary, interval in zip(
        comparison.sets, comparison.means, comparison.summaries, comparison.intervals, strict=True
    ):
        values = np.concatenate([scores.values, mean.values])
        absent = np.concatenate([scores.absent, np.zeros_like(mean.absent)])
        repeats = np.concatenate([scores.repeats, mean.repeats])
        for row in range(len(values)):
            place = (scores.rows + mean.rows)[row]
            columns = {
                "score": summary[row],
                "low": interval.low[row],
                "high": interval.high[row],
                "interval": interval.method[row],
                "units": interval.units[row],
                "warning": interval.warning[row],
                "sd": spread(values[row]),
                "cases": np.count_nonzero(~np.isnan(values[row]), axis=1),
                "absent": absent[row],
                "seeds": np.count_nonzero(~np.isnan(repeats[row]), axis=1),
                "seed_sd": spread(repeats[row]),
            }
            lines.append(_lines(scores, place, comparison.methods, columns))
    return pd.concat(lines, ignore_index=True)


def rank_frame(comparison: Comparison) -> pd.DataFrame:
    """Rank of every method in every row, then the rank sums.

    Returns:
        dataset, trained_on, split, metric, class, method, rank with low and high; for rank sums class
        is "rank sum", position is its place and first the share of resamples in which it is smallest.
    """
    lines = []
    for scores, ranks, (low, high) in zip(comparison.sets, comparison.ranks, comparison.rank_intervals, strict=True):
        for row, place in enumerate(scores.rows):
            columns = {"rank": ranks[row], "low": low[row], "high": high[row]}
            lines.append(_lines(scores, place, comparison.methods, columns))
    metrics = "+".join(comparison.settings.metrics)
    by_name = {scores.name: scores for scores in comparison.sets}
    for name, standing in comparison.standings.items():
        columns = {
            "rank": standing.rank_sums,
            "low": standing.low,
            "high": standing.high,
            "position": standing.positions,
            "first": standing.first,
        }
        line = _lines(by_name.get(name), Row(metrics, RANK_SUM), comparison.methods, columns)
        lines.append(line)
    return pd.concat(lines, ignore_index=True)


def _lines(scores: Scores | None, row: Row, methods: Sequence[str], columns: dict[str, np.ndarray]) -> pd.DataFrame:
    where = (scores.dataset, scores.trained_on, scores.split) if scores else (TOTAL, TOTAL, "test")
    keys = dict(zip(("dataset", "trained_on", "split", "metric", "class"), (*where, *row), strict=True))
    return pd.DataFrame({**keys, "method": list(methods), **columns})


def spread(values: Floats) -> Floats:
    """(M,) standard deviation (n - 1) of (M, N) values, NaN where there are fewer than two."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    means = np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1)
    squares = np.where(known, (values - means[:, None]) ** 2, 0.0).sum(axis=1)
    return np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)


def drop_frame(comparison: Comparison) -> pd.DataFrame:
    """The drop of each method's scores on data sets unseen in training, over the classes that both have.

    Returns:
        trained_on, unseen, metric, method, seen and unseen_score (means over the classes), drop (how
        much worse, positive = worse) and drop_percent of the score seen.
    """
    lines = []
    by_name = {s.dataset: k for k, s in enumerate(comparison.sets) if s.split == "test"}
    for k, unseen in enumerate(comparison.sets):
        if unseen.split == "test" or unseen.trained_on not in by_name:
            continue
        home = by_name[unseen.trained_on]
        for metric in unseen.metrics:
            shared = [r for r in unseen.rows if r.metric == metric and r in comparison.sets[home].rows]
            if not shared:
                continue
            seen, other = (
                comparison.summaries[n][[comparison.sets[n].rows.index(r) for r in shared]].mean(axis=0)
                for n in (home, k)
            )
            worse = seen - other if unseen.larger[unseen.rows.index(shared[0])] else other - seen
            lines.append(
                pd.DataFrame(
                    {
                        "trained_on": unseen.trained_on,
                        "unseen": unseen.dataset,
                        "metric": metric,
                        "method": list(comparison.methods),
                        "seen": seen,
                        "unseen_score": other,
                        "drop": worse,
                        "drop_percent": 100
                        * np.divide(worse, np.abs(seen), out=np.full_like(worse, np.nan), where=seen != 0),
                    }
                )
            )
    columns = ["trained_on", "unseen", "metric", "method", "seen", "unseen_score", "drop", "drop_percent"]
    return pd.concat(lines, ignore_index=True) if lines else pd.DataFrame(columns=columns)


def consensus_frame(comparison: Comparison) -> pd.DataFrame:
    """A line for each method: its place by every way to put data sets and metrics together.

    Returns:
        method, rank_sum (its place by the total), euclidean (by mean_place, that over the data sets, each counted
        once), mean_place; for each data set and each metric the place in it alone.
    """
    consensus = comparison.consensus
    return pd.DataFrame(
        {
            "method": list(comparison.methods),
            "rank_sum": comparison.total.positions,
            "euclidean": consensus.positions,
            "mean_place": consensus.mean_places,
            **{f"data set {name}": row for name, row in zip(consensus.data_sets, consensus.places, strict=True)},
            **{f"metric {metric}": row for metric, row in consensus.by_metric.items()},
        }
    )


def cost_frame(methods: Sequence[Method]) -> pd.DataFrame:
    """A line for each method: how many runs and seeds, the median of each cost, and the generalisation gap."""
    return pd.DataFrame(
        {
            "method": [method.name for method in methods],
            "runs": [len(method.runs) for method in methods],
            "seeds": [len(method.seeds) for method in methods],
            **{key: [method.cost(key) for method in methods] for key in COSTS},
            "generalisation_gap": [method.gap for method in methods],
        }
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a frame."""
    return [{str(key): value for key, value in line.items()} for line in frame.to_dict("records")]


def mean_scores(comparison: Comparison, metric: str) -> Floats:
    """(M,) mean over the data sets seen in training of the mean over classes, as shown in the tables."""
    means = [
        summary[len(scores.rows) + scores.metrics.index(metric)]
        for scores, summary in zip(comparison.sets, comparison.summaries, strict=True)
        if scores.split == "test"
    ]
    return np.asarray(np.mean(means, axis=0))
