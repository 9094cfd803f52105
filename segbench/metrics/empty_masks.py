"""The rule for empty masks: the scores of a class, or of objects, that prediction, reference or both lack."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

EmptyDistance = float | Literal["diagonal"]
"""The distance where one side is empty: a number in the unit of the spacing, or the image's diagonal."""


def by_empty_rule(n_pred: int, n_ref: int, worst: float, formula: Callable[[], float]) -> float:
    """The rule for empty masks, the only one: every metric whose formula fails there goes through it.

    Args:
        n_pred: how much there is in the prediction (pixels, surface pixels or objects).
        n_ref: how much there is in the reference.
        worst: the value where just one of them is empty.
        formula: the metric where neither is empty.

    Returns:
        NaN where both are empty (the class is absent: there is nothing to score), `worst` where one is.
    """
    if n_pred and n_ref:
        return float(formula())
    return worst if n_pred or n_ref else math.nan


def resolve_empty_distance(empty_distance: EmptyDistance, shape: Sequence[int], spacing: Sequence[float]) -> float:
    """The distance of a missed or invented mask, in the unit of the spacing.

    The diagonal runs over the whole extent of the image, so that it exceeds every distance that can be
    measured in it: a miss never ranks before a hit.

    Raises:
        ValueError: if the spacing does not have one positive number an axis.
    """
    if len(spacing) != len(shape) or min(spacing) <= 0:
        raise ValueError(f"spacing must be {len(shape)} positive numbers, not {tuple(spacing)}")
    return diagonal(shape, spacing) if empty_distance == "diagonal" else float(empty_distance)


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """The diagonal of an image, in the unit of the spacing."""
    return math.hypot(*(size * step for size, step in zip(shape, spacing, strict=True)))
