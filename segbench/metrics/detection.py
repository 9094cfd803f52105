"""Scores of objects that count what is found, split and merged, by overlap or by the place of the centre."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import KDTree

from segbench.metrics.direction import direction_of, larger_is_better, smaller_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.object_matching import InstancePair

MaskMetric = Callable[[MaskPair], float]


@larger_is_better
def centroid_f1(pair: InstancePair, radius: float) -> float:
    """F1 of objects found by their centre: 2 TP / (2 TP + FP + FN), 0 to 1.

    Predicted and reference objects are matched one to one where their centroids lie within a radius: as many pairs
    as there can be and, of those, the smallest sum of distances.

    Args:
        pair: the objects.
        radius: the largest distance of two centroids, in the unit of the spacing.
    """
    return by_empty_rule(
        pair.n_pred, pair.n_ref, worst=0.0, formula=lambda: 2 * _found(pair, radius) / (pair.n_pred + pair.n_ref)
    )


@larger_is_better
def centroid_precision(pair: InstancePair, radius: float) -> float:
    """Share of the predicted objects whose centre is that of a reference object; see `centroid_f1`."""
    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=lambda: _found(pair, radius) / pair.n_pred)


@larger_is_better
def centroid_recall(pair: InstancePair, radius: float) -> float:
    """Share of the reference objects whose centre is that of a predicted object; see `centroid_f1`."""
    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=lambda: _found(pair, radius) / pair.n_ref)


@larger_is_better
def recall_of_size(pair: InstancePair, iou: float = 0.5, smallest: float = 0.0, largest: float | None = None) -> float:
    """Share of the reference objects of a range of sizes that match a predicted object with an IoU above a threshold.

    NaN where no reference object has such a size.

    Args:
        pair: the objects.
        iou: the threshold.
        smallest: area (volume) of the smallest objects that count, in the unit of the spacing: pixels, mm^2, mm^3.
        largest: area below which objects count; None: all.
    """
    sizes = pair.reference_areas * math.prod(pair.spacing)
    inside = (sizes >= smallest) & (sizes < (math.inf if largest is None else largest))
    if not inside.any():
        return math.nan
    return float(inside[pair.columns[pair.matches(iou)]].sum() / inside.sum())


@smaller_is_better
def matched_distance(pair: InstancePair, metric: MaskMetric, iou: float = 0.5) -> float:
    """A distance of surfaces, averaged over the pairs of objects that match with an IoU above a threshold.

    Objects without a partner do not count: read it beside a score of detection. The worst, `empty_distance`, is
    where none matches.

    Args:
        pair: the objects.
        metric: of two masks, such as `surface.assd`.
        iou: the threshold.

    Raises:
        ValueError: if smaller is not better of the metric.
    """
    if direction_of(metric) != "smaller":
        raise ValueError("metric: must be a distance, such as segbench.metrics.surface.assd")

    def mean() -> float:
        entries = pair.matches(iou)
        if not entries.size:
            return pair.empty_distance
        ends = zip(pair.rows[entries].tolist(), pair.columns[entries].tolist(), strict=True)
        return float(np.mean([metric(pair.masks(row, column)) for row, column in ends]))

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=pair.empty_distance, formula=mean)


@larger_is_better
def det(pair: InstancePair) -> float:
    """DET of the Cell Tracking Challenge, 0 to 1 (Matula et al., PLoS ONE 10:e0144959, 2015).

    1 - min(AOGM-D, AOGM-D0) / AOGM-D0, where AOGM-D costs 5 for each split that a merged predicted object would need,
    10 for each reference object that is missed and 1 for each predicted object too many, and AOGM-D0 is the cost of an
    empty prediction. A predicted object holds a reference object where it has more than half of its pixels.
    """

    def score() -> float:
        held = 2 * pair.shared > pair.reference_areas[pair.columns]
        holds = np.bincount(pair.rows[held], minlength=pair.n_pred)
        splits, missed = np.maximum(holds - 1, 0).sum(), pair.n_ref - np.count_nonzero(held)
        cost, empty = 5 * splits + 10 * missed + np.count_nonzero(holds == 0), 10 * pair.n_ref
        return float(1 - min(cost, empty) / empty)

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=score)


@smaller_is_better
def false_splits(pair: InstancePair) -> float:
    """Number of predicted pieces too many of reference objects.

    A predicted object belongs to the reference object that holds more than half of its pixels; every reference
    object may have one.
    """
    inside = 2 * pair.shared > pair.prediction_areas[pair.rows]
    return float(np.maximum(np.bincount(pair.columns[inside], minlength=pair.n_ref) - 1, 0).sum())


@smaller_is_better
def false_merges(pair: InstancePair) -> float:
    """Number of reference objects too many in predicted objects: `false_splits` the other way round."""
    inside = 2 * pair.shared > pair.reference_areas[pair.columns]
    return float(np.maximum(np.bincount(pair.rows[inside], minlength=pair.n_pred) - 1, 0).sum())


def _found(pair: InstancePair, radius: float) -> int:
    """Number of pairs of the matching by centroids."""
    predicted, true = (KDTree(centres) for centres in pair.centroids)
    near = predicted.sparse_distance_matrix(true, radius * (1 + 1e-9), output_type="coo_matrix")
    if not near.nnz:
        return 0
    # Every predicted object gets a reference object or a dummy of its own, as in `InstancePair`.
    dummies = np.arange(pair.n_pred)
    costs = np.concatenate([1 + near.data / (2 * radius * pair.n_pred), np.full(pair.n_pred, 3.0)])
    ends = np.concatenate([near.row, dummies]), np.concatenate([near.col, pair.n_ref + dummies])
    _, column = min_weight_full_bipartite_matching(coo_array((costs, ends)).tocsr())
    return int(np.count_nonzero(column < pair.n_ref))
