"""The comparison for users of other frameworks: data frames in, data frames out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from segbench.compare.statistics.bootstrap import rank_rows
from segbench.compare.statistics.comparison import TOTAL, Settings
from segbench.compare.statistics.pairs import pairwise_tests
from segbench.compare.statistics.ranking import CUTS
from segbench.compare.statistics.scores import Absent, Missing, Scores, completed, tabulate
from segbench.compare.statistics.ties import Ties


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
    missing: Missing = None,
    absent: Absent = "ignore",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Every two methods compared on each metric of each class of each data set.

    Args:
        frame: as for `rank`.
        better: as for `rank`.
        missing: as for `rank`.
        absent: as for `rank`.
        confidence: of the intervals; tests are made at 1 - confidence.

    Returns:
        See `segbench.compare.statistics.pairs.pairwise_tests`.

    Raises:
        UserError: if a column is missing, a score is and `missing` is None, or `better` says nothing of a metric.
    """
    return pairwise_tests(_sets(frame, better, missing, absent), confidence)


def _sets(frame: pd.DataFrame, better: str | Mapping[str, str], missing: Missing, absent: Absent) -> list[Scores]:
    whole = completed(frame)
    ways = dict.fromkeys(whole["metric"].unique(), better) if isinstance(better, str) else better
    return tabulate(whole, ways, missing=missing, absent=absent)
