"""Object scores as single challenges define them. For neither or one empty side see `empty_masks.by_empty_rule`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from segbench.metrics.direction import larger_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.object_matching import InstancePair


@larger_is_better
def glas_f1(pair: InstancePair) -> float:
    """F1 score of gland detection, 0 to 1 (Sirinukunwattana et al., Medical Image Analysis 35:489, 2017).

    A predicted object is right if it covers at least half of the reference object that it shares most
    pixels with; how much more it covers does not matter. Of several that each cover half of the same
    object one is right, so that no reference object counts twice.
    """

    def f1() -> float:
        entries = pair.most_shared
        covers = 2 * pair.shared[entries] >= pair.reference_areas[pair.columns[entries]]
        found = len(np.unique(pair.columns[entries][covers]))
        return 2 * found / (pair.n_pred + pair.n_ref)

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=f1)


@larger_is_better
def seg(pair: InstancePair) -> float:
    """SEG of the Cell Tracking Challenge, 0 to 1: mean IoU of the reference objects (Maška et al. 2014).

    An object's partner is the predicted one that holds more than half of its pixels; without one its IoU is 0.
    What is predicted elsewhere costs nothing. The challenge averages over the objects of all images, here
    as everywhere each image has its own mean. Source: Bioinformatics 30:1609.
    """

    def mean_iou() -> float:
        partners = 2 * pair.shared > pair.reference_areas[pair.columns]
        return float(pair.iou[partners].sum()) / pair.n_ref

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=mean_iou)


@larger_is_better
def information_score(pair: InstancePair) -> float:
    """Foreground-restricted information score V, 0 to 1 (ISBI 2012, Arganda-Carreras et al. 2015).

    2 I(S; T) / (H(S) + H(T)): the mutual information of predicted segments S and true segments T, over
    their mean entropy; it is the harmonic mean of I / H(S), which falls with splits, and I / H(T), which
    falls with merges (the formula is recalled from Frontiers in Neuroanatomy 9:142 with alpha = 0.5, not
    compared with the challenge's code). Like `objects.rand_score` it counts the pixels of the reference
    objects only, and predicted background as one segment. The challenge takes the maximum over
    thresholds and thins the borders first; this does neither.
    """

    def score() -> float:
        within = np.bincount(pair.rows, pair.shared, minlength=pair.n_pred)
        missed = pair.reference_areas - np.bincount(pair.columns, pair.shared, minlength=pair.n_ref)
        joint = _entropy(np.concatenate([pair.shared, missed]))
        predicted, true = _entropy(np.append(within, missed.sum())), _entropy(pair.reference_areas)
        if not predicted + true:  # one segment each: nothing is split or merged
            return 1.0
        return max(0.0, 2 * (predicted + true - joint) / (predicted + true))

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=score)


def _entropy(areas: NDArray[np.integer] | NDArray[np.floating]) -> float:
    """Entropy of a pixel's segment, in nats. The sum is exact, so that the order of the segments is no matter."""
    shares = areas[areas > 0] / areas.sum()
    return -math.fsum(share * math.log(share) for share in shares.tolist())
