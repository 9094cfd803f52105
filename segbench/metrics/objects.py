"""Scores of objects: found or not, and how well they are covered.

Where neither map has an object a score is NaN; where one has none it is the worst there is
(`empty_masks.by_empty_rule`). Only the count error needs no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segbench.metrics.direction import larger_is_better, smaller_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.object_matching import Box, InstancePair, Shares
from segbench.metrics.surface import hd
from segbench.metrics.thresholds import per_threshold

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""IoU thresholds of the average precision: 0.5, 0.55, ..., 0.95."""


def _score(pair: InstancePair, formula: Callable[[], float]) -> float:
    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=formula)


@larger_is_better
@per_threshold("iou")
def object_precision(pair: InstancePair, iou: float = 0.5) -> float:
    """Share of the predicted objects that match a reference object with an IoU above a threshold."""
    return _score(pair, lambda: len(pair.matched_iou(iou)) / pair.n_pred)


@larger_is_better
@per_threshold("iou")
def object_recall(pair: InstancePair, iou: float = 0.5) -> float:
    """Share of the reference objects that match a predicted object with an IoU above a threshold."""
    return _score(pair, lambda: len(pair.matched_iou(iou)) / pair.n_ref)


@larger_is_better
@per_threshold("iou")
def object_f1(pair: InstancePair, iou: float = 0.5) -> float:
    """Harmonic mean of object precision and recall: 2 TP / (2 TP + FP + FN), 0 to 1."""
    return _score(pair, lambda: 2 * len(pair.matched_iou(iou)) / (pair.n_pred + pair.n_ref))


@larger_is_better
def average_precision(pair: InstancePair) -> float:
    """TP / (TP + FP + FN), averaged over the IoU thresholds 0.5, 0.55, ..., 0.95; 0 to 1.

    The score of the 2018 Data Science Bowl (Caicedo et al., Nature Methods 16:1247, 2019). Objects
    without a confidence have no precision-recall curve: it is not the average precision of COCO.
    """

    def at(threshold: float) -> float:
        matches = len(pair.matched_iou(threshold))
        return matches / (pair.n_pred + pair.n_ref - matches)

    return _score(pair, lambda: sum(map(at, THRESHOLDS)) / len(THRESHOLDS))


@larger_is_better
def segmentation_quality(pair: InstancePair) -> float:
    """Mean IoU of the objects matched above an IoU of 0.5, 0 where none is: the SQ of `panoptic_quality`."""
    matched = pair.matched_iou(0.5)
    return _score(pair, lambda: matched.mean() if matched.size else 0.0)


@larger_is_better
def panoptic_quality(pair: InstancePair) -> float:
    """Sum of the IoUs above 0.5 over TP + FP / 2 + FN / 2, 0 to 1 (Kirillov et al., CVPR 2019).

    It is `object_f1` at 0.5 times `segmentation_quality`, with all objects as one class.
    """
    return _score(pair, lambda: 2 * pair.matched_iou(0.5).sum() / (pair.n_pred + pair.n_ref))


@smaller_is_better
def count_error(pair: InstancePair) -> float:
    """Absolute difference of the numbers of predicted and reference objects."""
    return float(abs(pair.n_pred - pair.n_ref))


@larger_is_better
def object_dice(pair: InstancePair) -> float:
    """Dice of each object with the one it shares most pixels with, weighted by area, 0 to 1.

    The mean of the predicted objects' and the reference objects' weighted sums; an object that meets none
    contributes 0 (GlaS challenge, Sirinukunwattana et al., Medical Image Analysis 35:489, 2017).
    """
    return _score(pair, lambda: (_dice_with_partners(pair) + _dice_with_partners(pair.swapped)) / 2)


@smaller_is_better
def object_hausdorff(pair: InstancePair) -> float:
    """Hausdorff distance of each object to its partner, weighted by area, in the unit of the spacing.

    As `object_dice` (same source), but an object that meets none is held against the object of the other
    side with the smallest Hausdorff distance. Where one side has no object: `InstancePair.empty_distance`.
    """
    return by_empty_rule(
        pair.n_pred,
        pair.n_ref,
        worst=pair.empty_distance,
        formula=lambda: (_distance_to_partners(pair) + _distance_to_partners(pair.swapped)) / 2,
    )


@smaller_is_better
def adapted_rand_error(pair: InstancePair) -> float:
    """One minus the F-score of pixel pairs that are rightly joined, 0 to 1 (CREMI, SNEMI3D).

    Counted over the pixels of the reference objects; predicted background counts as one segment. A pixel
    is no pair with itself, as in scikit-image. Penalises merged and split neighbours.
    """

    def error() -> float:
        joined, predicted, true = _squared_areas(pair)
        pixels = int(pair.reference_areas.sum())
        pairs = predicted + true - 2 * pixels
        return 1 - 2 * (joined - pixels) / pairs if pairs else 0.0

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=1.0, formula=error)


@larger_is_better
def rand_score(pair: InstancePair) -> float:
    """Foreground-restricted Rand score V, 0 to 1 (ISBI 2012, Arganda-Carreras et al. 2015).

    Half the weight on splits, half on merges. One minus `adapted_rand_error`, but for each pixel being
    also a pair with itself. The challenge takes its maximum over thresholds and thinnings; this does not.
    """

    def score() -> float:
        joined, predicted, true = _squared_areas(pair)
        return 2 * joined / (predicted + true)

    return _score(pair, score)


def _squared_areas(pair: InstancePair) -> tuple[int, int, int]:
    """Sums of squared areas within the reference objects: of the shared parts, of each side's parts."""
    within = np.bincount(pair.rows, pair.shared, minlength=pair.n_pred)
    missed = pair.reference_areas - np.bincount(pair.columns, pair.shared, minlength=pair.n_ref)
    joined = (pair.shared**2).sum() + (missed**2).sum()
    predicted = (within**2).sum() + missed.sum() ** 2
    return int(joined), int(predicted), int((pair.reference_areas**2).sum())


def _dice_with_partners(pair: InstancePair) -> float:
    """The predicted objects' side of `object_dice`."""
    dice = np.zeros(pair.n_pred)
    dice[pair.rows[pair.most_shared]] = pair.dice[pair.most_shared]
    return float(np.average(dice, weights=pair.prediction_areas))


def _distance_to_partners(pair: InstancePair) -> float:
    """The predicted objects' side of `object_hausdorff`."""
    predicted, true = (_edges(boxes, pair.spacing) for boxes in pair.boxes)
    distances = np.full(pair.n_pred, np.nan)
    for row, column in zip(pair.rows[pair.most_shared], pair.columns[pair.most_shared], strict=True):
        distances[row] = hd(pair.masks(row, column))
    for row in np.flatnonzero(np.isnan(distances)).tolist():
        distances[row] = _smallest_hd(pair, row, predicted[row], true)
    return float(np.average(distances, weights=pair.prediction_areas))


def _smallest_hd(pair: InstancePair, row: int, edges: Shares, others: Shares) -> float:
    """The Hausdorff distance of a predicted object to the reference object where it is smallest."""
    # Two surfaces are at least as far from each other as the sides of their boxes: most need no look.
    bounds = np.abs(others - edges).max(axis=1)
    smallest = np.inf
    for column in np.argsort(bounds).tolist():
        if bounds[column] >= smallest:
            break
        smallest = min(smallest, hd(pair.masks(row, column)))
    return smallest


def _edges(boxes: Sequence[Box], spacing: tuple[float, ...]) -> Shares:
    """(N, 2 len(S)) positions of the sides of boxes, in the unit of the spacing."""
    sides = [[side.start for side in box] + [side.stop for side in box] for box in boxes]
    return np.array(sides, dtype=np.float64) * np.array(spacing * 2, dtype=np.float64)
