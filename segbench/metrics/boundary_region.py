"""Overlap of the regions along the boundaries of a predicted and a reference mask."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from segbench.metrics.direction import larger_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.mask_pair import MaskPair


@larger_is_better
def boundary_iou(pair: MaskPair, width: float = 0.02) -> float:
    """Boundary IoU, 0 to 1 (Cheng et al., CVPR 2021, arXiv 2103.16562): IoU of the pixels of each mask near its edge.

    Large objects are not forgiven what the IoU of their areas hides. Near is a distance to the nearest pixel outside
    the mask, in the unit of the spacing, of `width` times the diagonal of the image, and at least one pixel; beyond
    the border of the image there is nothing. (The authors' code measures it with a square of pixels.)

    Args:
        pair: the masks.
        width: share of the image's diagonal; 0.02 in the source.

    Raises:
        ValueError: if the width is not above 0.
    """
    if not width > 0:
        raise ValueError(f"width={width}: must be above 0")

    def iou() -> float:
        limit = max(width * pair.diagonal, max(pair.spacing)) * (1 + 1e-9)
        regions = [
            mask & (distance_transform_edt(solid, sampling=pair.spacing) <= limit)
            for mask, solid in zip(pair.masks, pair.solids, strict=True)
        ]
        both, either = np.count_nonzero(regions[0] & regions[1]), np.count_nonzero(regions[0] | regions[1])
        return both / either if either else 0.0

    return by_empty_rule(pair.n_pred, pair.n_ref, worst=0.0, formula=iou)
