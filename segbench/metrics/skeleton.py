"""Overlap along the centre lines of thin structures, such as vessels and membranes."""

from __future__ import annotations

import numpy as np
from skimage.morphology import skeletonize

from segbench.metrics.direction import larger_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.mask_pair import MaskPair


@larger_is_better
def centreline_dice(pair: MaskPair) -> float:
    """Centre-line Dice, clDice, 0 to 1 (Shit et al., CVPR 2021, arXiv 2003.07311, equations 1 and 2).

    The harmonic mean of topology precision, the share of the predicted skeleton that lies in the reference, and
    topology sensitivity, the share of the reference skeleton that lies in the prediction. A broken vessel costs what
    is missing of its length, whatever its thickness. Skeletons are those of scikit-image in 2D and 3D.
    """

    def harmonic_mean() -> float:
        prediction, reference = pair.masks
        lines = skeletonize(prediction), skeletonize(reference)
        precision, sensitivity = (
            np.count_nonzero(line & mask) / np.count_nonzero(line)
            for line, mask in zip(lines, (reference, prediction), strict=True)
        )
        return 2 * precision * sensitivity / (precision + sensitivity) if precision + sensitivity else 0.0

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=harmonic_mean)
