"""The order of the methods by each of several references: whether the choice of the annotator decides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from segbench.compare.statistics.bootstrap import rank_rows, sum_ranks
from segbench.compare.statistics.comparison import Comparison, Settings
from segbench.compare.statistics.scores import Scores, class_means

MAIN = "the reference"


def orders_by_reference(comparison: Comparison, references: Mapping[str, Sequence[Scores]]) -> pd.DataFrame:
    """The place of every method by the reference and by each further one, over the data sets seen in training.

    Methods that have no scores against a further reference, as the annotators themselves, are left out.

    Returns:
        reference, method, score (mean over classes, cases and data sets of the first metric), rank_sum, place; empty
        where a ranked metric was not scored against the others.
    """
    columns = ["reference", "method", "score", "rank_sum", "place"]
    metrics = comparison.settings.metrics
    if not references or any(
        metric not in s.metrics for sets in references.values() for s in sets for metric in metrics
    ):
        return pd.DataFrame(columns=columns)
    methods = next(iter(references.values()))[0].methods
    seen = [_of_methods(s, methods) for s in comparison.sets if s.split == "test"]
    frames = [_order(sets, comparison.settings, name) for name, sets in ((MAIN, seen), *references.items())]
    return pd.concat(frames, ignore_index=True)[columns]


def reversals(orders: pd.DataFrame) -> pd.DataFrame:
    """The pairs of methods whose order two references disagree about.

    Args:
        orders: as from `orders_by_reference`.

    Returns:
        method (the one that the first reference puts before the other), other, first (a reference) and second, which
        has them the other way round, and the differences of their scores (method - other) by both.
    """
    lines = []
    tables = {str(name): of_one.set_index("method") for name, of_one in orders.groupby("reference", sort=False)}
    for (first, one), (second, two) in combinations(tables.items(), 2):
        for a, b in combinations(one.index, 2):
            if (one["place"][a] - one["place"][b]) * (two["place"][a] - two["place"][b]) < 0:
                method, other = (a, b) if one["place"][a] < one["place"][b] else (b, a)
                gaps = (one["score"][method] - one["score"][other], two["score"][method] - two["score"][other])
                lines.append((method, other, first, second, *gaps))
    return pd.DataFrame(lines, columns=["method", "other", "first", "second", "by_first", "by_second"])


def _order(sets: Sequence[Scores], settings: Settings, name: str) -> pd.DataFrame:
    chosen = [s.only(settings.metrics) for s in sets]
    ranks = [rank_rows(s, np.ones((1, len(s.cases))), settings.rule, settings.options)[:, 0] for s in chosen]
    sums = np.asarray(sum_ranks(ranks, [np.ones(len(s.rows), dtype=bool) for s in chosen]))
    means = [class_means(s) for s in chosen]
    score = np.mean([np.nanmean(m.values[m.metrics.index(settings.metrics[0])], axis=1) for m in means], axis=0)
    place = np.array([1 + np.count_nonzero(sums < own - 1e-9) for own in sums])
    columns = {"method": list(sets[0].methods), "score": score, "rank_sum": sums, "place": place}
    return pd.DataFrame({"reference": name, **columns})


def _of_methods(scores: Scores, methods: Sequence[str]) -> Scores:
    """The scores of some methods."""
    chosen = [scores.methods.index(name) for name in methods]
    kept = {name: getattr(scores, name)[:, chosen] for name in ("values", "absent", "repeats")}
    seeds = None if scores.seeds is None else scores.seeds[:, :, chosen]
    return replace(scores, methods=tuple(methods), seeds=seeds, **kept)
