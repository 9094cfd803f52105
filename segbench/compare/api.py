"""The comparison for users of other frameworks: data frames in, data frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from segbench.compare.statistics.bootstrap import rank_rows, resampled_summaries, summarise
from segbench.compare.statistics.comparison import TOTAL, Settings
from segbench.compare.statistics.pairs import pairwise_tests
from segbench.compare.statistics.ranking import CUTS
from segbench.compare.statistics.rows import tested_rows
from segbench.compare.statistics.score_intervals import intervals_of_means, intervals_of_medians
from segbench.compare.statistics.scores import Absent, Missing, Scores, class_means, completed, tabulate
from segbench.compare.statistics.ties import Ties
from segbench.errors import UserError


def rank(
    frame: pd.DataFrame,
    *,
    better: str | Mapping[str, str],
    ranking: str = "mean",
    ties: Ties = "min",
    cuts: Sequence[float] = CUTS,
    missing: Missing = None,
    absent: Absent = "ignore",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Ranks of the methods for each metric of each class of each data set, 1 = best.

    Args:
        frame: a score to a line: columns method, case, value; and where known dataset, class, metric,
            group (patient; what must not be counted as independent), seed, fold.
        better: "larger" or "smaller", or which for each metric.
        ranking: mean, median, per_case, significance or tiers; see `segbench.compare.statistics.ranking`.
        ties: the rank that equals share: min, max, average or dense.
        cuts: for tiers, the largest relative shortfall of each tier.
        missing: what a score counts that a method lacks: "worst", "drop", a number, or None: refuse.
        absent: what a case counts whose reference and prediction both lack the class, see `tabulate`.
        confidence: for significance, 0.95 for tests at 0.05.

    Returns:
        Rows by (dataset, metric, class), a column for each method.

    Raises:
        UserError: if a column is missing, a score is and `missing` is None, or `better` says nothing of a metric.
    """
    settings = Settings(metrics=(), ranking=ranking, ties=ties, cuts=tuple(cuts), confidence=confidence)
    sets = _sets(frame, better, missing, absent)
    ranks = [rank_rows(s, np.ones((1, len(s.cases))), settings.rule, settings.options)[:, 0] for s in sets]
    keys = [(s.name, row.metric, row.label) for s in sets for row in s.rows]
    index = pd.MultiIndex.from_tuples(keys, names=["dataset", "metric", "class"])
    return pd.DataFrame(np.concatenate(ranks), index=index, columns=list(sets[0].methods))


def rank_sums(ranks: pd.DataFrame, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Sums of ranks over the classes of each data set, and over all data sets; the smallest is best.

    Args:
        ranks: as from `rank`.
        metrics: whose ranks are summed; None: all.

    Returns:
        Rows by data set and "total", a column for each method.
    """
    chosen = ranks if metrics is None else ranks[ranks.index.get_level_values("metric").isin(list(metrics))]
    sums = chosen.groupby(level="dataset", sort=False).sum(min_count=1)
    return pd.concat([sums, pd.DataFrame([chosen.sum(min_count=1)], index=[TOTAL])])


def pairwise(
    frame: pd.DataFrame,
    *,
    better: str | Mapping[str, str],
    ranking: str = "mean",
    relevant: float | None = None,
    missing: Missing = None,
    absent: Absent = "ignore",
    confidence: float = 0.95,
    bootstraps: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Every two methods compared on each metric of each class of each data set, by what a ranking rule looks at.

    Args:
        frame: as for `rank`.
        better: as for `rank`.
        ranking: as for `rank`.
        relevant: the smallest difference that matters, for the column relevance; None: not asked.
        missing: as for `rank`.
        absent: as for `rank`.
        confidence: of the intervals; tests are made at 1 - confidence.
        bootstraps: number of resamples, for medians.
        seed: of the resampling.

    Returns:
        See `segbench.compare.statistics.pairs.pairwise_tests`.

    Raises:
        UserError: if a column is missing, a score is and `missing` is None, or `better` says nothing of a metric.
    """
    rule = Settings(metrics=(), ranking=ranking, confidence=confidence, bootstraps=bootstraps).rule
    sets = _sets(frame, better, missing, absent)
    summaries = [summarise(s, np.ones((1, len(s.cases))), rule)[0] for s in sets]
    drawn = None if rule.of_cases is not None else resampled_summaries(sets, rule, draws=bootstraps, seed=seed)
    rows = tested_rows(sets, [class_means(s) for s in sets], sets[0], rule, summaries, drawn)
    return pairwise_tests(rows[: sum(len(s.rows) for s in sets)], rule, confidence, relevant=relevant)


def intervals(
    frame: pd.DataFrame,
    statistic: str = "mean",
    confidence: float = 0.95,
    *,
    better: str | Mapping[str, str] | None = None,
    missing: Missing = "drop",
    absent: Absent = "ignore",
    bootstraps: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Confidence intervals of the scores of each method, and of their means over the classes.

    How an interval is computed is chosen by the statistic, the number of independent units (groups where there are five
    or more, else cases) and the range of the metric; see `segbench.compare.statistics.intervals`.

    Args:
        frame: as for `rank`.
        statistic: "mean" or "median" over the cases.
        confidence: 0.95 for 95 % intervals.
        better: as for `rank`; None: not known, and scores beyond 1 are taken for distances, whose tail is long.
        missing: as for `rank`.
        absent: as for `rank`.
        bootstraps: number of resamples.
        seed: of the resampling.

    Returns:
        A line for each method and row: dataset, metric, class, method, statistic, value, low, high, interval (how it
        was computed), units (independent ones behind it), warning (why it cannot be taken at its word, or empty).

    Raises:
        UserError: if a column is missing, or the statistic is unknown.
    """
    if statistic not in ("mean", "median"):
        raise UserError(f"statistic={statistic}: must be mean or median")
    rule = Settings(metrics=(), ranking=statistic, confidence=confidence, bootstraps=bootstraps).rule
    lines = []
    for s in _sets(frame, _guessed(frame) if better is None else better, missing, absent):
        summary = summarise(s, np.ones((1, len(s.cases))), rule)[0]
        means = class_means(s)
        if rule.of_cases is None:
            (drawn,) = resampled_summaries([s], rule, draws=bootstraps, seed=seed)
            found = intervals_of_medians(s, summary, drawn, confidence=confidence)
        else:
            found = intervals_of_means(s, means, confidence=confidence, draws=bootstraps, seed=seed)
        for row, place in enumerate([*s.rows, *(means.rows if len(s.rows) > len(means.rows) else ())]):
            where = {"dataset": s.name, "metric": place.metric, "class": place.label, "method": list(s.methods)}
            of_row = {
                "statistic": statistic,
                "value": summary[row],
                "low": found.low[row],
                "high": found.high[row],
                "interval": found.method[row],
                "units": found.units[row],
                "warning": found.warning[row],
            }
            lines.append(pd.DataFrame(where | of_row))
    return pd.concat(lines, ignore_index=True)


def _guessed(frame: pd.DataFrame) -> dict[str, str]:
    """Directions to choose the scale of an interval by: what exceeds 1 and is never negative counts as a distance."""
    whole = completed(frame).groupby("metric", observed=True, sort=False)["value"]
    return {str(metric): "smaller" if v.min() >= 0 and v.max() > 1 else "larger" for metric, v in whole}


def _sets(frame: pd.DataFrame, better: str | Mapping[str, str], missing: Missing, absent: Absent) -> list[Scores]:
    whole = completed(frame)
    ways = dict.fromkeys(whole["metric"].unique(), better) if isinstance(better, str) else better
    return tabulate(whole, ways, missing=missing, absent=absent)
