"""Distances within objects as values to be learnt: to their centres, to their borders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from segbench.data.sample import Sample
from segbench.data.targets.euclidean import distance_to_outside
from segbench.data.targets.objects import boxes, ignored, in_pixels, objects_of
from segbench.errors import UserError


@dataclass(frozen=True)
class InnerDistance:
    """1 / (1 + alpha d) inside objects, d being the distance to the nearest centre of an object; 0 outside.

    Centres are centroids, rounded to a pixel (DeepDistance, Koyuncu et al., Medical Image Analysis 2020).

    Attributes:
        alpha: the larger, the steeper.
        metric: euclidean, as in the authors' program, or squared, as in formulas that are found in print.

    Raises:
        UserError: where alpha is not above 0, or the metric is unknown.
    """

    needs_instances: ClassVar[bool] = True

    alpha: float = 0.1
    metric: Literal["euclidean", "squared"] = "euclidean"

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise UserError(f"task.targets: alpha={self.alpha}: must be above 0")
        if self.metric not in ("euclidean", "squared"):
            raise UserError(f"task.targets: metric={self.metric}: must be euclidean or squared")

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the values: (1, *P) float32, 1 at the centres, NaN = ignore.

        Raises:
            UserError: where there are no instances.
        """
        instances = objects_of(sample, "inner distances")
        result = np.zeros(instances.shape, np.float32)
        if instances.any():
            away = np.ones(instances.shape, bool)
            away[tuple(centroids(instances).T)] = False
            distance = distance_to_outside(away, in_pixels(sample.spacing, instances.ndim))
            inside = instances > 0
            near = distance[inside]
            result[inside] = 1 / (1 + self.alpha * (near**2 if self.metric == "squared" else near))
        return ignored(sample, result[None])


@dataclass(frozen=True)
class OuterDistance:
    """The distance to the nearest pixel outside an object, divided by the largest in the object; 0 outside.

    Such a pixel is background or of another object. Beyond the border of the image there is none, so that an object
    that is cut off has no boundary there (DeepDistance, Koyuncu et al., Medical Image Analysis 2020).
    """

    needs_instances: ClassVar[bool] = True

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the values: (1, *P) float32, 1 at the deepest pixels of each object, NaN = ignore.

        Raises:
            UserError: where there are no instances.
        """
        instances = objects_of(sample, "outer distances")
        result = depth(instances, in_pixels(sample.spacing, instances.ndim), relative=True)
        return ignored(sample, result[None])


@dataclass(frozen=True)
class DistanceTransform:
    """The distance to the border of the object, cut off and divided by where it is: between -1 and 1.

    Inside an object it is that to the nearest pixel outside it; outside, with the sign -, that to the nearest object.

    Attributes:
        truncate: the distance, in pixels, that is 1 and so are all above it.
        signed: false: 0 outside objects.

    Raises:
        UserError: where `truncate` is not above 0.
    """

    needs_instances: ClassVar[bool] = True

    truncate: float = 10.0
    signed: bool = True

    def __post_init__(self) -> None:
        if self.truncate <= 0:
            raise UserError(f"task.targets: truncate={self.truncate}: must be above 0")

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the values: (1, *P) float32, NaN = ignore.

        Raises:
            UserError: where there are no instances.
        """
        instances = objects_of(sample, "distance transforms")
        scale = in_pixels(sample.spacing, instances.ndim)
        result = depth(instances, scale)
        if self.signed:
            result -= np.minimum(distance_to_outside(instances == 0, scale), self.truncate)
        return ignored(sample, np.clip(result / np.float32(self.truncate), -1, 1)[None])


def centroids(instances: np.ndarray) -> np.ndarray:
    """The mean place of each object, rounded to a pixel: (N, D) integers.

    Args:
        instances: (*P), without gaps, with one object at least.
    """
    places = np.nonzero(instances)
    numbers = instances[places]
    sizes = np.bincount(numbers)[1:]
    means = [np.bincount(numbers, weights=place)[1:] / sizes for place in places]
    return np.rint(np.stack(means, axis=1)).astype(int)


def depth(instances: np.ndarray, scale: np.ndarray, relative: bool = False) -> np.ndarray:
    """The distance of each object's pixels to the nearest pixel of the image outside it: (*P) float32, 0 outside.

    Args:
        instances: (*P), without gaps. One that fills the image is infinitely deep.
        scale: length of a pixel along each axis.
        relative: divided by the largest in the object.
    """
    result = np.zeros(instances.shape, np.float32)
    for number, box in boxes(instances, margin=1):
        inside = instances[box] == number
        distance = distance_to_outside(inside, scale)
        if relative:
            distance = np.ones(inside.shape) if inside.all() else distance / distance.max()
        result[box][inside] = distance[inside]
    return result
