"""The scores of one case, as `cases.csv` lists them: one per class and metric, one per object metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.data.case import IGNORE
from segbench.data.labels.region_classes import RegionClasses, region_masks
from segbench.metrics.empty_masks import EmptyDistance
from segbench.metrics.mask_pair import BoolArray, MaskPair
from segbench.metrics.object_matching import InstancePair, Instances

ClassMetric = Callable[[MaskPair], float]
ObjectMetric = Callable[[InstancePair], float]

OBJECTS = "objects"
"""The word that stands for the class in the rows of object metrics."""


@dataclass(frozen=True)
class Score:
    """One value.

    Attributes:
        class_name: the class; "objects" for the metrics of objects.
        metric: its name in the configuration.
        value: NaN where there is nothing to score.
        n_ref: scored pixels of the class in the reference; for objects their number.
        n_pred: the same in the prediction.
    """

    class_name: str
    metric: str
    value: float
    n_ref: int
    n_pred: int


def score_case(
    prediction: NDArray[np.integer],
    reference: NDArray[np.integer],
    spacing: Sequence[float],
    classes: Sequence[str],
    metrics: Mapping[str, ClassMetric],
    *,
    background: int | None = 0,
    empty_distance: EmptyDistance = "diagonal",
) -> list[Score]:
    """Score every class but the background.

    Args:
        prediction: class index per pixel (*S).
        reference: the same (*S); pixels that are `IGNORE` count for nothing.
        spacing: size of a pixel along each axis of S.
        classes: name of each class, by index.
        metrics: functions of a `MaskPair` by name.
        background: the class that is left out, or None.
        empty_distance: the distance where a class is in only one of the two, in the unit of the spacing.

    Raises:
        ValueError: if shapes differ, or the spacing does not fit them.
    """
    ignored = _ignored(reference)
    scores = []
    for index, name in enumerate(classes):
        if index != background:
            pair = MaskPair(prediction == index, reference == index, spacing, ignored, empty_distance)
            scores += _scores(name, pair, metrics)
    return scores


def score_regions(
    prediction: BoolArray,
    reference: NDArray[np.integer],
    spacing: Sequence[float],
    regions: RegionClasses,
    metrics: Mapping[str, ClassMetric],
    *,
    empty_distance: EmptyDistance = "diagonal",
) -> list[Score]:
    """Score every region, as if each were a class of its own.

    Args:
        prediction: the mask of each region (R, *S).
        reference: class index per pixel (*S); pixels that are `IGNORE` count for nothing.
        spacing: size of a pixel along each axis of S.
        regions: the classes of each region, by name.
        metrics: functions of a `MaskPair` by name.
        empty_distance: the distance where a region is in only one of the two, in the unit of the spacing.

    Raises:
        ValueError: if shapes differ, or the spacing does not fit them.
    """
    ignored, known = _ignored(reference), region_masks(reference, regions)
    pairs = (MaskPair(*masks, spacing, ignored, empty_distance) for masks in zip(prediction, known, strict=True))
    return [score for name, pair in zip(regions, pairs, strict=True) for score in _scores(name, pair, metrics)]


def _scores(name: str, pair: MaskPair, metrics: Mapping[str, ClassMetric]) -> list[Score]:
    """The scores of one class or region."""
    return [Score(name, metric, float(function(pair)), pair.n_ref, pair.n_pred) for metric, function in metrics.items()]


def score_objects(
    prediction: Instances,
    reference: Instances,
    spacing: Sequence[float],
    metrics: Mapping[str, ObjectMetric],
    *,
    label: NDArray[np.integer] | None = None,
    empty_distance: EmptyDistance = "diagonal",
) -> list[Score]:
    """Score all objects of a case, whatever their class.

    Args:
        prediction: number of the object at each pixel (*S), 0 = background.
        reference: the same (*S); numbers need not correspond.
        spacing: size of a pixel along each axis of S.
        metrics: functions of an `InstancePair` by name.
        label: reference class index per pixel (*S): pixels that are `IGNORE` count for nothing.
        empty_distance: the distance where only one of the two has objects, in the unit of the spacing.

    Raises:
        ValueError: if shapes differ, a number is negative, or the spacing does not fit the shape.
    """
    ignored = None if label is None else _ignored(label)
    pair = InstancePair(prediction, reference, spacing, ignored, empty_distance)
    return [
        Score(OBJECTS, metric, float(function(pair)), pair.n_ref, pair.n_pred) for metric, function in metrics.items()
    ]


def _ignored(label: NDArray[np.integer]) -> BoolArray | None:
    ignored = label == IGNORE
    return ignored if ignored.any() else None
