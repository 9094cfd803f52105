"""The intervals of the scores that a comparison shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segbench.compare.statistics.intervals import Intervals, block_warning, mean_intervals
from segbench.compare.statistics.ranking import RULES
from segbench.compare.statistics.rows import contributions
from segbench.compare.statistics.scales import scale_of
from segbench.compare.statistics.scores import Scores
from segbench.compare.statistics.significance import group_means
from segbench.compare.statistics.ties import Floats
from segbench.compare.statistics.variance import pooled_seeds

FEWEST_FOR_A_MEDIAN = 6
"""Of fewer units not even the smallest and the largest score enclose the median in 95 % of samples."""


def intervals_of_means(scores: Scores, means: Scores, *, confidence: float, draws: int, seed: int) -> Intervals:
    """(R + K, M) intervals of the mean of every row and of the means over the classes of each metric.

    Where methods were trained with several seeds, the intervals are those of training again and testing on new cases:
    the variance between seeds, pooled over the methods, is added.

    Args:
        scores: of a data set.
        means: its means over classes, see `class_means`.
        confidence: 0.95 for 95 % intervals.
        draws: resamples of the bootstrap-t.
        seed: of the resampling.
    """
    parts = contributions(scores, RULES["mean"])
    places, repeats = (*scores.rows, *means.rows), np.concatenate([scores.repeats, means.repeats])
    larger = [bool(way) for way in np.concatenate([scores.larger, means.larger])]
    of_metric = {metric: scores.values[scores.chosen([metric])] for metric in scores.metrics}
    scales = [scale_of(of_metric[place.metric], way) for place, way in zip(places, larger, strict=True)]
    alone = scores.units is None and scores.seeds is None
    passes = [alone and _is_proportion(values) for values in scores.values] + [False] * len(means.rows)
    result = mean_intervals(parts, scales, passes, confidence=confidence, draws=draws, seed=seed)
    ends = np.array([[scale.low] for scale in scales]), np.array([[scale.high] for scale in scales])
    return _warned(_with_seeds(result, parts.mean, repeats, ends, confidence), scores, confidence)


def intervals_of_medians(scores: Scores, summary: Floats, resamples: Floats, *, confidence: float) -> Intervals:
    """(R + K, M) percentile intervals of medians by their resamples (B, R + K, M)."""
    units = np.stack([np.count_nonzero(~np.isnan(group_means(v, scores.units)[0]), axis=1) for v in scores.values])
    of_means = [units[scores.chosen([metric])].min(axis=0) for metric in scores.metrics]
    result = Intervals.unknown(np.concatenate([units, np.stack(of_means)]))
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(resamples, [tail, 1 - tail], axis=0)
    enough = result.units >= FEWEST_FOR_A_MEDIAN
    lacking = (result.units > 1) & ~enough
    text = f"an interval of a median needs {FEWEST_FOR_A_MEDIAN} independent units"
    result = replace(
        result,
        low=np.where(enough, np.minimum(low, summary), np.nan),
        high=np.where(enough, np.maximum(high, summary), np.nan),
        method=np.where(enough, "percentile", "").astype(object),
        warning=np.where(lacking, text, "").astype(object),
    )
    return _warned(result, scores, confidence)


def _with_seeds(
    result: Intervals, centre: Floats, repeats: Floats, ends: tuple[Floats, Floats], confidence: float
) -> Intervals:
    """Intervals that allow for the seeds of (R + K, M, S) repetitions, inside the ends (R + K, 1) of the scores."""
    from scipy.special import stdtrit

    reach = np.full(centre.shape, np.nan)
    for row, of_row in enumerate(repeats):
        variance, freedom, seeds = pooled_seeds(of_row)
        if freedom:
            with np.errstate(divide="ignore"):
                reach[row] = stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(
                    variance / np.where(seeds > 0, seeds, np.nan)
                )
    return result.widened(centre, reach, " with seeds", ends)


def _warned(result: Intervals, scores: Scores, confidence: float) -> Intervals:
    """The warning of groups that are too few to be the units, before the others."""
    sizes = np.bincount(scores.groups)
    if scores.grouped or len(sizes) == len(scores.cases):
        return result
    return result.doubted(block_warning(len(scores.cases), sizes.tolist(), confidence))


def _is_proportion(values: Floats) -> bool:
    known = values[~np.isnan(values)]
    return bool(len(known) and np.isin(known, (0.0, 1.0)).all())
