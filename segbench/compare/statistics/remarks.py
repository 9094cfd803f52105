"""Notes on a comparison: what a reader must know of its cases, and where another way to rank has another winner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segbench.compare.statistics.consensus import Consensus
from segbench.compare.statistics.intervals import Intervals
from segbench.compare.statistics.scores import Scores
from segbench.compare.statistics.ties import Floats

FEW = 12
"""Fewer independent units than this are said to be few."""


def doubts(sets: Sequence[Scores], overall: Scores, plain: bool) -> list[str]:
    """Notes on cases that are few, alike or lacking.

    Args:
        sets: the scores.
        overall: the means over classes and data sets.
        plain: whether there is one case only.
    """
    notes = []
    for s in sets:
        groups = len(set(s.groups.tolist()))
        if groups < len(s.cases) and not s.grouped:
            notes.append(
                f"{s.name}: {len(s.cases)} cases in only {groups} group{'s' * (groups > 1)}: cases are treated as"
                " independent, so intervals are too narrow and p-values too small"
            )
        units = len(set(s.drawn.tolist()))
        if 1 < units < FEW:
            spread, what = f"{100 * np.sqrt(1 - 1 / units):.0f} %", "cases" if s.units is None else "groups"
            notes.append(
                f"{s.name}: {units} {what}: shares of resamples of so few look surer"
                f" than they are, as resamples spread by {spread} of what new cases do"
            )
        if len(s.cases) == 1 and not plain:
            notes.append(f"{s.name}: one case only, so nothing can be said of its certainty")
        if s.lopsided:
            notes.append(
                f"{s.name}: {s.lopsided} times a class is absent from a case and some methods rightly predict nothing;"
                " such a case counts for the other methods only (absent=perfect would credit it)"
            )
        if all(np.nanmax(v) == np.nanmin(v) for v in s.values if not np.isnan(v).all()):
            notes.append(f"{s.name}: all scores are equal, so there is no order")
    if plain:
        what = f"{len(overall.cases)} classes" if len(overall.cases) > 1 else "one class"
        notes.append(f"one case only: tests compare {what}, and nothing can be resampled")
    elif not (np.count_nonzero(~np.isnan(overall.repeats), axis=2) > 1).any():
        notes.append("one seed for each method: how much a seed changes is not known")
    return notes


def interval_doubts(sets: Sequence[Scores], intervals: Sequence[Intervals], metrics: Sequence[str]) -> list[str]:
    """Notes on intervals that cannot be taken at their word, each once.

    Args:
        sets: the scores.
        intervals: of each.
        metrics: those that are ranked.
    """
    notes: dict[str, None] = {}
    for s, found in zip(sets, intervals, strict=True):
        for metric in metrics:
            rows = np.flatnonzero(s.chosen([metric]))
            for warning in dict.fromkeys(found.warning[rows].ravel().tolist()):
                if warning:
                    notes[f"{s.name}, intervals of {metric.replace('_', ' ')}: {warning}"] = None
    return list(notes)


def other_orders(consensus: Consensus, places: Floats, methods: Sequence[str]) -> list[str]:
    """Notes where other ways to put data sets or metrics together have another first method.

    Args:
        consensus: the other ways.
        places: (M,) by the total rank sum.
        methods: their names.
    """
    first = set(np.flatnonzero(places == 1).tolist())
    notes = []
    if len(consensus.data_sets) > 1 and not first & set(np.flatnonzero(consensus.positions == 1).tolist()):
        winner = methods[int(np.argmin(consensus.mean_places))]
        notes.append(f"counting each data set once (Euclidean consensus of their orders), '{winner}' is first")
    for metric, of_metric in consensus.by_metric.items():
        if np.isfinite(of_metric).any() and not first & set(np.flatnonzero(of_metric == 1).tolist()):
            notes.append(f"by {metric.replace('_', ' ')} alone, '{methods[int(np.nanargmin(of_metric))]}' is first")
    return notes
