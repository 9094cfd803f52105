"""Flows towards the centres of objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from segbench.data.sample import Sample
from segbench.data.targets.objects import Stack, ignored, objects_of, stacks
from segbench.errors import UserError


@dataclass(frozen=True)
class GradientFlow:
    """Unit vectors along which heat that is made at an object's centre would be found; 0 outside objects.

    Each step adds 1 at the centre, the pixel nearest to the mean place of the object, and replaces each pixel by the
    mean of itself and its neighbours, of which those outside the object are 0. The flow is the gradient of
    log(1 + heat), by central differences, divided by its length (Cellpose, Stringer et al., Nature Methods 2021).

    Attributes:
        steps: of the heat, times the object's height + width (+ depth).

    Raises:
        UserError: where there are none.
    """

    needs_instances: ClassVar[bool] = True

    steps: float = 2.0

    def __post_init__(self) -> None:
        if self.steps <= 0:
            raise UserError(f"task.targets: steps={self.steps}: must be above 0")

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the vectors: (D, *P) float32, one channel for each axis, NaN = ignore.

        Raises:
            UserError: where there are no instances.
        """
        instances = objects_of(sample, "flows")
        result = np.zeros((instances.ndim, *instances.shape), np.float32)
        channels = result.reshape(instances.ndim, -1)
        for stack in stacks(instances):
            channels[:, stack.pixels] = directions_to_warmth(stack, heat(stack, self.steps))
        return ignored(sample, result)


def heat(stack: Stack, steps: float) -> np.ndarray:
    """The heat of objects, (N * B,) float32."""
    shares = stack.inside / np.float32(3 ** len(stack.shape))
    sources = stack.places[centres(stack)]
    now, sums = np.zeros((2, len(shares)), np.float32)
    for _ in range(int(np.ceil(steps * stack.extents.sum(axis=1).max()))):
        now[sources] += 1
        for stride in stack.strides:
            # The sum of each pixel and its two neighbours. At the ends of the array there is background.
            np.add(now[: -2 * stride], now[2 * stride :], out=sums[stride:-stride])
            now += sums
        now *= shares
    return now


def directions_to_warmth(stack: Stack, temperature: np.ndarray) -> np.ndarray:
    """Unit vectors (D, M) float32 at the objects' pixels along which it becomes warmer."""
    warmth = np.log1p(temperature)
    gradient = np.stack([warmth[stack.places + stride] - warmth[stack.places - stride] for stride in stack.strides])
    length = np.sqrt((gradient**2).sum(axis=0))
    return np.asarray(gradient / np.maximum(length, np.finfo(np.float32).tiny))


def centres(stack: Stack) -> np.ndarray:
    """The pixel of each object that is nearest to the mean place of its pixels: (N,) indices of `Stack.places`."""
    positions = np.stack(np.unravel_index(stack.places, (len(stack.starts), *stack.shape))[1:])
    sizes = np.diff([*stack.starts, len(stack.places)])
    means = np.add.reduceat(positions, stack.starts, axis=1) / sizes
    distances = ((positions - means.repeat(sizes, axis=1)) ** 2).sum(axis=0)
    # Sorted by object, then by distance: the first of each object.
    return np.asarray(np.lexsort((distances, np.arange(len(sizes)).repeat(sizes)))[stack.starts])
