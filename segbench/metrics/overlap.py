"""Overlap of a predicted and a reference mask, counted in pixels.

Where both masks are empty every one of them is NaN; where one is, an overlap is 0 (`empty_masks.by_empty_rule`).
The F1 score of the pixels is the Dice coefficient and has no function of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from segbench.metrics.direction import larger_is_better, smaller_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.thresholds import per_threshold


def _overlap(pair: MaskPair, formula: Callable[[], float]) -> float:
    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=formula)


@larger_is_better
def dice(pair: MaskPair) -> float:
    """Dice coefficient, the same as F1: 2 TP / (2 TP + FP + FN), 0 to 1 (Dice 1945)."""
    return _overlap(pair, lambda: 2 * pair.true_positives / (pair.n_pred + pair.n_ref))


@larger_is_better
def iou(pair: MaskPair) -> float:
    """Intersection over union, the Jaccard index: TP / (TP + FP + FN), 0 to 1 (Jaccard 1912)."""
    return _overlap(pair, lambda: pair.true_positives / (pair.n_pred + pair.false_negatives))


@larger_is_better
def precision(pair: MaskPair) -> float:
    """TP / (TP + FP), 0 to 1: how much of the prediction is right."""
    return _overlap(pair, lambda: pair.true_positives / pair.n_pred)


@larger_is_better
def recall(pair: MaskPair) -> float:
    """TP / (TP + FN), 0 to 1, also called sensitivity: how much of the reference is found."""
    return _overlap(pair, lambda: pair.true_positives / pair.n_ref)


@larger_is_better
def f_beta(pair: MaskPair, beta: float = 2.0) -> float:
    """F-beta: (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP), 0 to 1 (van Rijsbergen 1979).

    Args:
        pair: the masks.
        beta: how many times as much recall counts as precision; 1 is the Dice coefficient.
    """
    weight = beta * beta
    return _overlap(pair, lambda: (1 + weight) * pair.true_positives / (weight * pair.n_ref + pair.n_pred))


@larger_is_better
def mcc(pair: MaskPair) -> float:
    """Matthews' correlation coefficient of the pixels, -1 to 1 (Biochimica et Biophysica Acta 405:442, 1975).

    It is no overlap: the worst is -1, and 0 is a prediction that knows nothing, which is also the value where one
    mask is empty or fills all that is scored, since the formula then divides 0 by 0.
    """

    def correlation() -> float:
        sizes = pair.n_pred, pair.n_ref, pair.scored - pair.n_pred, pair.scored - pair.n_ref
        if not all(sizes):
            return float(pair.n_pred == pair.n_ref == pair.scored)
        agree = pair.true_positives * pair.scored - pair.n_pred * pair.n_ref
        return agree / math.prod(map(math.sqrt, sizes))

    return _overlap(pair, correlation)


@larger_is_better
def specificity(pair: MaskPair) -> float:
    """TN / (TN + FP), 0 to 1: how much of what is outside the reference is left out.

    It is no overlap: with one mask empty its formula holds, and a class that is missed has the
    specificity 1. NaN where the class is absent, or where the reference fills all that is scored.
    """
    negatives = pair.scored - pair.n_ref
    absent = pair.n_pred == pair.n_ref == 0
    return math.nan if absent or negatives == 0 else pair.true_negatives / negatives


@smaller_is_better
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


@smaller_is_better
def pixel_error(pair: MaskPair) -> float:
    """Pixel error of the ISBI 2012 challenge: 1 - F-score of the pixels *outside* the class, 0 to 1.

    The challenge's class is the membrane, which is the dark value, and its F-score counts the bright pixels
    (Arganda-Carreras et al., Frontiers in Neuroanatomy 9:142, 2015). It takes the largest F-score over the
    thresholds of a probability map; this scores the one label map. It is no overlap of the class: where
    neither mask has it, nothing is wrong and the error is NaN; where one is empty the formula holds.
    """
    if pair.n_pred == pair.n_ref == 0:
        return math.nan
    wrong = pair.false_positives + pair.false_negatives
    return wrong / (2 * pair.true_negatives + wrong) if wrong else 0.0


@larger_is_better
@per_threshold("threshold")
def pass_at(pair: MaskPair, threshold: float) -> float:
    """1 where the Dice coefficient reaches a threshold, else 0: the mean over cases is the pass rate.

    Args:
        pair: the masks.
        threshold: the smallest Dice coefficient that a rater accepts.
    """
    value = dice(pair)
    return math.nan if math.isnan(value) else float(value >= threshold)
