"""The rows on which methods are compared: each class, the mean over the classes of a data set, and over data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segbench.compare.statistics.ranking import Rule
from segbench.compare.statistics.scores import ALL_CLASSES, Scores
from segbench.compare.statistics.ties import Floats
from segbench.compare.statistics.units import Contributions, side_by_side, stacked


@dataclass(frozen=True)
class Tested:
    """A row on which every pair is compared.

    Attributes:
        scores: the set that it belongs to.
        row: its number there.
        statistic: (M,) what methods are compared by.
        parts: its contributions by unit where it is a mean, else None.
        resamples: (B, M) of it where it is none.
        smaller: whether a smaller statistic is better.
    """

    scores: Scores
    row: int
    statistic: Floats
    parts: Contributions | None
    resamples: Floats | None
    smaller: bool


def contributions(scores: Scores, rule: Rule) -> Contributions:
    """Means (R + K, M) of what a rule looks at, and what each unit contributes: of every row, then of each metric."""
    assert rule.of_cases is not None
    rows = stacked(
        [
            Contributions.of(rule.of_cases(values, bool(larger)), scores.units)
            for values, larger in zip(scores.values, scores.larger, strict=True)
        ]
    )
    means = stacked([rows[scores.chosen([metric])].averaged() for metric in scores.metrics])
    return Contributions(np.concatenate([rows.mean, means.mean]), np.concatenate([rows.shares, means.shares]))


def tested_rows(
    sets: Sequence[Scores],
    means: Sequence[Scores],
    overall: Scores,
    rule: Rule,
    summaries: Sequence[Floats],
    resamples: Sequence[Floats] | None,
) -> list[Tested]:
    """Every row of the sets, the means over their classes, and where there are several, over all seen in training.

    Args:
        sets: the scores.
        means: for each, the means over classes.
        overall: see `Comparison`; where its cases are classes, it is all that is tested.
        rule: the ranking rule.
        summaries: for each set (R + K, M).
        resamples: for each set (B, R + K, M), where the rule looks at no mean.
    """
    if overall.dataset == ALL_CLASSES:
        return [_of_classes(overall, row, rule) for row in range(len(overall.rows))]
    ranks = rule.statistic == "mean rank"
    parts = [None if rule.of_cases is None else contributions(s, rule) for s in sets]
    rows: list[Tested] = []
    of_means: list[Tested] = []
    first: dict[str, list[Tested]] = {}
    for k, (s, mean) in enumerate(zip(sets, means, strict=True)):
        for number in range(len(s.rows) + len(mean.rows)):
            home, row = (s, number) if number < len(s.rows) else (mean, number - len(s.rows))
            part, drawn = parts[k], None if resamples is None else resamples[k][:, number]
            one = None if part is None else part[np.array(number)]
            statistic = summaries[k][number] if one is None else one.mean
            (rows if home is s else of_means).append(
                Tested(home, row, statistic, one, drawn, ranks or not bool(home.larger[row]))
            )
            if home is mean and s.split == "test":
                first.setdefault(mean.rows[row].metric, []).append(of_means[-1])
    seen = sum(s.split == "test" for s in sets)
    joint = [_joint(overall, row, first[place.metric]) for row, place in enumerate(overall.rows)] if seen > 1 else []
    return [*rows, *of_means, *joint]


def _joint(overall: Scores, row: int, parts: Sequence[Tested]) -> Tested:
    """The mean over data sets."""
    contributed = [one.parts for one in parts if one.parts is not None]
    drawn = [one.resamples for one in parts if one.resamples is not None]
    return Tested(
        overall,
        row,
        np.mean([one.statistic for one in parts], axis=0),
        side_by_side(contributed) if contributed else None,
        np.mean(drawn, axis=0) if drawn else None,
        parts[0].smaller,
    )


def _of_classes(overall: Scores, row: int, rule: Rule) -> Tested:
    """Classes as cases: one score of each, which is its mean and its median."""
    values, larger = overall.values[row], bool(overall.larger[row])
    of_cases = rule.of_cases or (lambda scores, _: scores)
    parts = Contributions.of(of_cases(values, larger), None)
    return Tested(overall, row, parts.mean, parts, None, rule.statistic == "mean rank" or not larger)
