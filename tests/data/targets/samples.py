"""Samples of which only the objects matter."""

from collections.abc import Sequence

import numpy as np

from segbench.data.sample import Sample


def sample_of(instances: np.ndarray | None, label: np.ndarray | None = None, spacing: Sequence[float] = ()) -> Sample:
    """A sample with these objects (*P), whose label is 1 inside them."""
    if label is None:
        assert instances is not None
        label = (instances > 0).astype(np.uint8)
    return Sample(np.zeros((1, *label.shape), np.float32), label, instances, spacing or (1.0,) * label.ndim)


def square(size: tuple[int, ...] = (11, 13), low: int = 2, high: int = 9, number: int = 7) -> np.ndarray:
    """A cube of 7 pixels a side, by default, as the object of a number."""
    instances = np.zeros(size, np.int32)
    instances[(slice(low, high),) * len(size)] = number
    return instances


def cells(size: tuple[int, ...] = (48, 56), count: int = 14, seed: int = 0) -> np.ndarray:
    """Ellipsoids that touch and hide each other, some cut off by the border."""
    rng = np.random.default_rng(seed)
    places = np.indices(size)
    instances = np.zeros(size, np.int32)
    for number in range(1, count + 1):
        centre, radii = rng.uniform(0, size), rng.uniform(3, 9, len(size))
        inside = sum(
            ((line - middle) / radius) ** 2 for line, middle, radius in zip(places, centre, radii, strict=True)
        )
        instances[np.asarray(inside) <= 1] = 3 * number
    return instances
