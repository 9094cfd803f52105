"""Distances to the outline of an object along rays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from segbench.data.sample import Sample
from segbench.data.targets.objects import Stack, ignored, in_pixels, objects_of, stacks
from segbench.errors import UserError

UNIT = 16.0
"""Pixels, of the finest axis, that a distance of 1 is: values of about 1 are learnt in fewer steps than those of 20."""

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class StarDistances:
    """Of each pixel of an object the distance along rays to where the object ends (StarDist, Schmidt et al. 2018).

    A ray is followed in unit steps until the nearest pixel is not of the object; it ends where it left the one before,
    to half a step. Outside objects there is no such distance: NaN, which losses of values leave out.

    Attributes:
        rays: how many: `directions`.

    Raises:
        UserError: where there are fewer than three.
    """

    needs_instances: ClassVar[bool] = True

    rays: int = 32

    def __post_init__(self) -> None:
        if self.rays < 3:
            raise UserError(f"task.targets: rays={self.rays}: must be at least 3")

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the distances: (rays, *P) float32, in `UNIT` pixels, NaN outside objects.

        Raises:
            UserError: where there are no instances.
        """
        instances = objects_of(sample, "star distances")
        result = np.full((self.rays, *instances.shape), np.nan, np.float32)
        steps = directions(self.rays, instances.ndim) / in_pixels(sample.spacing, instances.ndim)
        for stack in stacks(instances):
            for step, channel in zip(steps, result.reshape(self.rays, -1), strict=True):
                channel[stack.pixels] = marched(stack, step) / np.float32(UNIT)
        return ignored(sample, result)


@lru_cache(maxsize=8)
def directions(rays: int, dims: int) -> np.ndarray:
    """Unit vectors (rays, D): in a plane at equal angles from the last axis towards the first, in space a spiral.

    In space they are those of the golden spiral on the sphere, which are nearly equally spread.
    """
    number = np.arange(rays)
    if dims == 2:
        angle = 2 * np.pi * number / rays
        return np.stack([np.sin(angle), np.cos(angle)], axis=1)
    height = 1 - (2 * number + 1) / rays
    radius = np.sqrt(1 - height**2)
    return np.stack([height, radius * np.sin(GOLDEN_ANGLE * number), radius * np.cos(GOLDEN_ANGLE * number)], axis=1)


def marched(stack: Stack, step: np.ndarray) -> np.ndarray:
    """The distances along a ray in all pixels of some objects: (M,) float32.

    Args:
        stack: the objects.
        step: of one unit along the ray, in pixels, (D,).
    """
    inside, strides = stack.inside, stack.strides
    longest = np.abs(step).max()
    alive = inside.copy()
    count: np.ndarray = inside.astype(np.uint16 if max(stack.shape) > 200 else np.uint8)
    for number in range(1, int(max(stack.shape) / longest) + 1):
        # No step is longer than a pixel, so that every ray meets the background around its object.
        away = int(np.rint(number * step) @ strides)
        if away > 0:
            alive[:-away] &= inside[away:]
            alive[-away:] = 0
        elif away < 0:
            alive[-away:] &= inside[:away]
            alive[:-away] = 0
        np.add(count, alive, out=count)
    # `count` is the step at which a ray leaves; half a pixel before it is the outline.
    return np.asarray(count[stack.places] - np.float32(1 - 0.5 / longest), np.float32)
