"""From the scores of validation cases to the numbers of one validation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from segbench.evaluation.scoring import Row
from segbench.runs.criterion import Criterion


def mean_scores(rows: Iterable[Row], criterion: Criterion) -> dict[str, float]:
    """Return the mean of each class and metric over the cases, of each metric over classes, and of the metrics.

    What has nothing to score does not count: a case where a class is absent, a class absent in all cases, a metric
    without any class. (A class that a network misses is not absent: it counts by the rule for empty masks.)

    Args:
        rows: as in cases.csv.
        criterion: the metrics that count.

    Returns:
        `dice/cell`, `dice` and so on; the last one is the criterion's own key, NaN where there is nothing to score.
    """
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row["metric"] in criterion.metrics and not math.isnan(row["value"]):
            values[row["metric"], row["class"]].append(row["value"])
    means = {key: float(np.mean(of_class)) for key, of_class in values.items()}
    scores = {f"{metric}/{name}": mean for (metric, name), mean in means.items()}
    for metric in criterion.metrics:
        scores[metric] = _mean([mean for (of, _), mean in means.items() if of == metric])
    scores[criterion.key] = _mean([scores[metric] for metric in criterion.metrics])
    return scores


def _mean(values: Iterable[float]) -> float:
    """The mean of what is a number, NaN where nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
