"""Scores and ranks within subgroups of the cases, and whether the subgroups differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.compare.statistics.bootstrap import rank_rows
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.score_intervals import intervals_of_means
from segbench.compare.statistics.scores import Scores, class_means
from segbench.compare.statistics.significance import group_means, holm
from segbench.compare.statistics.ties import Bools, Floats

FEWEST = 3
"""Fewer independent units than this in a subgroup are not tested."""


@dataclass(frozen=True)
class Subgroups:
    """The division of the cases of one data set.

    Attributes:
        column: what divides them.
        dataset: the name of the scores that they belong to.
        names: of the subgroups, in order.
        members: (N,) number of the subgroup of each case.
    """

    column: str
    dataset: str
    names: tuple[str, ...]
    members: NDArray[np.intp]


def subgroup_scores(comparison: Comparison, divisions: Sequence[Subgroups]) -> pd.DataFrame:
    """Mean score and rank of every method within every subgroup, for the metrics that are ranked.

    Returns:
        column, dataset, subgroup, metric, class, method, cases, units (independent ones), score with low and high,
        rank; empty without divisions.
    """
    lines = [
        line for scores, division in _of_sets(comparison, divisions) for line in _scored(comparison, scores, division)
    ]
    columns = [*_KEYS, "subgroup", "metric", "class", "method", "cases", "units", "score", "low", "high", "rank"]
    return pd.DataFrame(lines, columns=columns)


def subgroup_tests(comparison: Comparison, divisions: Sequence[Subgroups]) -> pd.DataFrame:
    """Tests of whether the subgroups differ, on the mean over classes of the metrics that are ranked.

    The scores of each method are compared between the subgroups, and so is the difference of every two methods: whether
    the subgroup changes what one has to expect of a method, and whether it changes which method is better. Mann and
    Whitney's test for two subgroups, Kruskal and Wallis' for more, of groups of cases where these are independent;
    adjusted by Holm over the methods, and over the pairs.

    Returns:
        column, dataset, metric, method, other (empty where a method is compared with itself), test, gap (between the
        highest and the lowest mean of a subgroup), p, p_holm; p is NaN where a subgroup has fewer than three units.
    """
    parts = [
        _tested(scores, division, metric)
        for scores, division in _of_sets(comparison, divisions)
        for metric in comparison.settings.metrics
        if metric in scores.metrics
    ]
    columns = [*_KEYS, "metric", "method", "other", "test", "gap", "p", "p_holm"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def subgroup_notes(tests: pd.DataFrame, level: float) -> list[str]:
    """A sentence for each column in which the subgroups differ significantly."""
    notes = []
    for (column, dataset, metric), of_one in tests.groupby(["column", "dataset", "metric"], sort=False):
        found = of_one[of_one["p_holm"] < level]
        alone, pairs = found[found["other"] == ""], found[found["other"] != ""]
        name = str(metric).replace("_", " ")
        if len(alone):
            notes.append(f"{dataset}: the {name} of {_listed(alone['method'])} differs between subgroups of {column}")
        if len(pairs):
            listed = _listed(pairs["method"] + " and " + pairs["other"])
            notes.append(f"{dataset}: how much better which of {listed} is in {name} depends on {column}")
    return notes


_KEYS = ("column", "dataset")
_LISTED = 3


def _listed(names: pd.Series) -> str:
    shown = [f"'{name}'" for name in names[:_LISTED]]
    return ", ".join(shown) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def _of_sets(comparison: Comparison, divisions: Sequence[Subgroups]) -> Iterator[tuple[Scores, Subgroups]]:
    by_name = {scores.name: scores for scores in comparison.sets}
    return ((by_name[division.dataset], division) for division in divisions)


def _scored(comparison: Comparison, scores: Scores, division: Subgroups) -> Iterator[dict[str, Any]]:
    settings = comparison.settings
    for number, name in enumerate(division.names):
        part = restricted(scores.only(settings.metrics), division.members == number)
        means = class_means(part)
        once = np.ones((1, len(part.cases)))
        ranks = np.concatenate([rank_rows(s, once, settings.rule, settings.options)[:, 0] for s in (part, means)])
        ends = intervals_of_means(
            part, means, confidence=settings.confidence, draws=settings.bootstraps, seed=settings.seed
        )
        values = [*part.values, *means.values]
        for row, (metric, label) in enumerate((*part.rows, *means.rows)):
            known = ~np.isnan(values[row])
            for m, method in enumerate(part.methods):
                yield {
                    **{"column": division.column, "dataset": division.dataset, "subgroup": name},
                    **{"metric": metric, "class": label, "method": method},
                    "cases": int(known[m].sum()),
                    "units": int(ends.units[row, m]),
                    "score": float(values[row][m][known[m]].mean()) if known[m].any() else float("nan"),
                    "low": float(ends.low[row, m]),
                    "high": float(ends.high[row, m]),
                    "rank": float(ranks[row, m]),
                }


def restricted(scores: Scores, keep: Bools) -> Scores:
    """The scores of some of the cases."""
    seeds = None if scores.seeds is None else scores.seeds[..., keep]
    repeats = np.full_like(scores.repeats, np.nan)
    if seeds is not None:
        known = ~np.isnan(seeds)
        sums, counts = np.where(known, seeds, 0.0).sum(axis=-1), known.sum(axis=-1)
        repeats = np.moveaxis(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan), 0, -1)
    return replace(
        scores,
        cases=tuple(case for case, kept in zip(scores.cases, keep, strict=True) if kept),
        groups=np.unique(scores.groups[keep], return_inverse=True)[1],
        values=scores.values[:, :, keep],
        absent=np.zeros_like(scores.absent),
        repeats=repeats,
        lopsided=0,
        folds=None if scores.folds is None else scores.folds[keep],
        seeds=seeds,
    )


def _tested(scores: Scores, division: Subgroups, metric: str) -> pd.DataFrame:
    means = class_means(scores)
    values = means.values[means.metrics.index(metric)]
    names = scores.methods
    alone = [_line(scores, division, values[m]) | {"method": name, "other": ""} for m, name in enumerate(names)]
    pairs = [
        _line(scores, division, values[a] - values[b]) | {"method": names[a], "other": names[b]}
        for a, b in combinations(range(len(names)), 2)
    ]
    frames = []
    for family in (alone, pairs):
        frame = pd.DataFrame(family)
        frames.append(frame.assign(p_holm=holm(frame["p"].to_numpy())))
    return pd.concat(frames).assign(column=division.column, dataset=division.dataset, metric=metric)


def _line(scores: Scores, division: Subgroups, values: Floats) -> dict[str, Any]:
    """The test of (N,) values between the subgroups."""
    from scipy.stats import kruskal, mannwhitneyu

    parts = []
    for number in range(len(division.names)):
        keep = division.members == number
        units = None if scores.units is None else np.unique(scores.units[keep], return_inverse=True)[1]
        of_units, _ = group_means(values[None, keep], units)
        parts.append(of_units[0][~np.isnan(of_units[0])])
    centres = [part.mean() for part in parts if len(part)]
    result = {"test": "rank-sum" if len(parts) == 2 else "Kruskal-Wallis", "p": float("nan")}
    result["gap"] = float(max(centres) - min(centres)) if len(centres) > 1 else float("nan")
    if min(map(len, parts)) >= FEWEST:
        if np.ptp(np.concatenate(parts)) == 0:
            result["p"] = 1.0
        else:
            result["p"] = float((mannwhitneyu(*parts) if len(parts) == 2 else kruskal(*parts)).pvalue)
    return result
