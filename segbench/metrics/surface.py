"""Distances between the surfaces of a predicted and a reference mask, in the unit of the spacing.

Where both masks are empty every one of them is NaN; where one is, a distance is `MaskPair.empty_distance`
and the surface Dice 0 (`empty_masks.by_empty_rule`). `MaskPair` says what a surface is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Literal

import numpy as np

from segbench.errors import UserError
from segbench.metrics.direction import larger_is_better, smaller_is_better
from segbench.metrics.empty_masks import by_empty_rule
from segbench.metrics.mask_pair import Distances, MaskPair

log = logging.getLogger(__name__)


def _distance(pair: MaskPair, statistic: Callable[[Distances, Distances], float]) -> float:
    return by_empty_rule(*pair.n_surface, worst=pair.empty_distance, formula=lambda: statistic(*pair.surface_distances))


def _percentile95(distances: Distances) -> float:
    return float(np.percentile(distances, 95))


@smaller_is_better
def hd(pair: MaskPair) -> float:
    """Hausdorff distance: the largest distance from a surface pixel of one mask to the other surface."""
    return _distance(pair, lambda forth, back: float(max(forth.max(), back.max())))


@smaller_is_better
def hd95(pair: MaskPair, mode: Literal["max", "pooled"] = "max") -> float:
    """95th percentile of the Hausdorff distance, with linear interpolation between ranks.

    Args:
        pair: the masks.
        mode: two conventions are in use. "max": the larger of the two directed percentiles (MONAI,
            DeepMind's surface-distance). "pooled": the percentile of all distances together (medpy).

    Raises:
        ValueError: if the mode is none of these.
    """
    if mode not in ("max", "pooled"):
        raise ValueError(f'mode must be "max" or "pooled", not {mode!r}')
    if mode == "max":
        return _distance(pair, lambda forth, back: max(_percentile95(forth), _percentile95(back)))
    return _distance(pair, lambda forth, back: _percentile95(np.concatenate([forth, back])))


@smaller_is_better
def assd(pair: MaskPair) -> float:
    """Average symmetric surface distance: the mean over the surface pixels of both masks."""
    return _distance(
        pair,
        lambda forth, back: (forth.sum(dtype=float) + back.sum(dtype=float)) / (len(forth) + len(back)),
    )


@smaller_is_better
def masd(pair: MaskPair) -> float:
    """Mean average surface distance: the mean of the two directed means, whatever the sizes of the surfaces."""
    return _distance(pair, lambda forth, back: (forth.mean(dtype=float) + back.mean(dtype=float)) / 2)


@larger_is_better
def normalised_surface_dice(pair: MaskPair, tolerance: float, unit: Literal["spacing", "pixels"] = "spacing") -> float:
    """Share of the surface pixels of both masks that lie within a tolerance of the other surface.

    Nikolov et al. 2018 (arXiv 1809.04430), with pixels counted instead of surface area weighed, as
    MONAI does by default.

    Args:
        pair: the masks.
        tolerance: the largest deviation that still counts as right.
        unit: of the tolerance: that of the spacing, such as mm, or pixels along the axis of the finest spacing.

    Raises:
        UserError: if the unit is another one.
    """
    if unit not in ("spacing", "pixels"):
        raise UserError(f"metrics: the unit of a tolerance is {unit!r}: it must be spacing or pixels")
    # Distances are rounded, and must not exceed an equal number of pixels by that.
    limit = tolerance * min(pair.spacing) * (1 + 1e-9) if unit == "pixels" else tolerance

    def share() -> float:
        if limit >= pair.diagonal:
            _warn_of_tolerance(tolerance, unit)
        forth, back = pair.surface_distances
        near = np.count_nonzero(forth <= limit) + np.count_nonzero(back <= limit)
        return near / (len(forth) + len(back))

    return by_empty_rule(*pair.n_surface, worst=0.0, formula=share)


@cache
def _warn_of_tolerance(tolerance: float, unit: str) -> None:
    """Say so once that a tolerance excuses everything."""
    hint = "; metrics.classes.nsd.unit=pixels counts it in pixels" if unit == "spacing" else ""
    log.warning(
        "a tolerance of %g (unit: %s) is no less than the diagonal of an image: its normalised surface Dice is 1 for"
        " every prediction%s", tolerance, unit, hint,
    )  # fmt: skip


@larger_is_better
def boundary_f1(pair: MaskPair, tolerance: float = 0.0075) -> float:
    """Boundary F1 score, 0 to 1 (Csurka et al., BMVC 2013), of the surface pixels of one class.

    Precision is the share of the predicted surface pixels that lie near the reference surface, recall the
    share of the reference ones near the predicted surface; the score is their harmonic mean.

    Args:
        pair: the masks.
        tolerance: how far is near, as a share of the image's diagonal; 0.75 % in the source (recalled,
            not compared with it).
    """

    def f1() -> float:
        near = tolerance * pair.diagonal
        precision, recall = (float(np.mean(distances <= near)) for distances in pair.surface_distances)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    return by_empty_rule(*pair.n_surface, worst=0.0, formula=f1)
