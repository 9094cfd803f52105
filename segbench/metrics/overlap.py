"""Overlap of a predicted and a reference mask, counted in pixels.

Where both masks are empty every one of them is NaN; where one is, an overlap is 0 (`pair.by_empty_rule`).
The F1 score of the pixels is the Dice coefficient and has no function of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from segbench.metrics.pair import MaskPair, by_empty_rule


def _overlap(pair: MaskPair, formula: Callable[[], float]) -> float:
    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=formula)


def dice(pair: MaskPair) -> float:
    """Dice coefficient, the same as F1: 2 TP / (2 TP + FP + FN), 0 to 1 (Dice 1945)."""
    return _overlap(pair, lambda: 2 * pair.true_positives / (pair.n_pred + pair.n_ref))


def iou(pair: MaskPair) -> float:
    """Intersection over union, the Jaccard index: TP / (TP + FP + FN), 0 to 1 (Jaccard 1912)."""
    return _overlap(pair, lambda: pair.true_positives / (pair.n_pred + pair.false_negatives))


def precision(pair: MaskPair) -> float:
    """TP / (TP + FP), 0 to 1: how much of the prediction is right."""
    return _overlap(pair, lambda: pair.true_positives / pair.n_pred)


def recall(pair: MaskPair) -> float:
    """TP / (TP + FN), 0 to 1, also called sensitivity: how much of the reference is found."""
    return _overlap(pair, lambda: pair.true_positives / pair.n_ref)


def specificity(pair: MaskPair) -> float:
    """TN / (TN + FP), 0 to 1: how much of what is outside the reference is left out.

    It is no overlap: with one mask empty its formula holds, and a class that is missed has the
    specificity 1. NaN where the class is absent, or where the reference fills all that is scored.
    """
    negatives = pair.scored - pair.n_ref
    absent = pair.n_pred == pair.n_ref == 0
    return math.nan if absent or negatives == 0 else pair.true_negatives / negatives


def volume_difference(pair: MaskPair) -> float:
    """Relative absolute difference of the volumes, | |P| - |R| | / (|P| + |R|), 0 (equal) to 1.

    One minus the volumetric similarity of Taha and Hanbury (BMC Medical Imaging 15:29, 2015). It is
    relative to both volumes, not to the reference alone: that one is infinite for a class that is
    predicted where it is not, and has no largest value for a mean to be taken with.
    """
    return by_empty_rule(
        pair.n_pred,
        pair.n_ref,
        worst=1.0,
        formula=lambda: abs(pair.n_pred - pair.n_ref) / (pair.n_pred + pair.n_ref),
    )
