"""Borders of objects as a class: what keeps touching objects apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from segbench.data.case import IGNORE
from segbench.data.sample import Sample
from segbench.data.targets.euclidean import distance_to_outside
from segbench.data.targets.objects import objects_of
from segbench.errors import UserError


@dataclass(frozen=True)
class Contour:
    """1 on the contours of objects, 0 elsewhere (DCAN, Chen et al., CVPR 2016).

    A contour is the pixels of an object that have a neighbour outside it (by a face), dilated with a ball. The border
    of the image is no contour.

    Attributes:
        radius: of the ball, in pixels; 0: one pixel wide.
        touching: only where two objects meet, with at most one pixel between them.

    Raises:
        UserError: where the radius is below 0.
    """

    needs_instances: ClassVar[bool] = True

    radius: int = 3
    touching: bool = False

    def __post_init__(self) -> None:
        _check_radius(self.radius)

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the class of each pixel: (*P) int64 of 0 and 1, 255 = ignore.

        Raises:
            UserError: where there are no instances.
        """
        instances = objects_of(sample, "contours")
        edge = meeting(instances) if self.touching else rims(instances)
        result = dilated(edge, self.radius).astype(np.int64)
        result[sample.label == IGNORE] = IGNORE
        return result


@dataclass(frozen=True)
class ClassesAndBorder:
    """The class of each pixel, and one more: the borders of objects. With two classes: background, inside, border.

    Attributes:
        classes: how many there are; the border is the class after the last.
        radius: by which the border reaches beyond an object's outermost pixels, in pixels, on both sides.

    Raises:
        UserError: where the radius is below 0.
    """

    needs_instances: ClassVar[bool] = True

    classes: int
    radius: int = 0

    def __post_init__(self) -> None:
        _check_radius(self.radius)

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the class of each pixel: (*P) int64, 255 = ignore.

        Raises:
            UserError: where there are no instances.
        """
        result = sample.label.astype(np.int64)
        result[dilated(rims(objects_of(sample, "borders")), self.radius) & (result != IGNORE)] = self.classes
        return result


def _check_radius(radius: int) -> None:
    """Check that a radius is none below 0."""
    if radius < 0:
        raise UserError(f"task.targets: radius={radius}: must be at least 0")


def rims(instances: np.ndarray) -> np.ndarray:
    """The pixels of objects with a neighbour, by a face, that is not of the same object: (*P) bool."""
    rim = np.zeros(instances.shape, bool)
    for axis in range(instances.ndim):
        first = np.moveaxis(instances, axis, 0)
        differ = first[1:] != first[:-1]
        along = np.moveaxis(rim, axis, 0)
        along[1:] |= differ
        along[:-1] |= differ
    return rim & (instances > 0)


def meeting(instances: np.ndarray) -> np.ndarray:
    """The pixels that have two objects among themselves and their neighbours, corners too: (*P) bool."""
    highest = maximum_filter(instances, 3, mode="nearest")
    lowest = minimum_filter(np.where(instances > 0, instances, np.iinfo(np.int32).max), 3, mode="nearest")
    return np.asarray(lowest < highest)


def dilated(mask: np.ndarray, radius: int) -> np.ndarray:
    """The pixels whose distance to a mask (*P) bool is at most a radius."""
    return mask if radius == 0 else distance_to_outside(~mask, np.ones(mask.ndim)) <= radius
