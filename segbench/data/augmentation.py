"""What happens at random to a training sample: a spatial transform, then intensity transforms.

An intensity transform is any callable `(image, rng) -> image` on float32 (C, *P), z-scored, that leaves
its argument as it is: MONAI's array transforms ask for a random state of their own, albumentations' clip
to [0, 1], so the five usual ones are written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter

from segbench.data.spatial import Range, Spatial

Intensity = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Augmentation:
    """A spatial part and intensity transforms, applied in their order."""

    spatial: Spatial = field(default_factory=Spatial)
    intensity: Sequence[Intensity] = ()


@dataclass(frozen=True)
class Noise:
    """Adds Gaussian noise with a variance drawn from a range."""

    probability: float
    variance: Range

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the image with noise, or as it is."""
        if rng.random() >= self.probability:
            return image
        deviation = math.sqrt(rng.uniform(*self.variance))
        noisy = rng.standard_normal(image.shape, dtype=np.float32)
        noisy *= deviation
        noisy += image
        return noisy


@dataclass(frozen=True)
class Blur:
    """Gaussian blur with a width in pixels drawn from a range."""

    probability: float
    sigma: Range

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the blurred image, or the image as it is."""
        if rng.random() >= self.probability:
            return image
        sigma = rng.uniform(*self.sigma)
        return np.asarray(gaussian_filter(image, sigma, axes=tuple(range(1, image.ndim))))


@dataclass(frozen=True)
class Brightness:
    """Adds a value drawn from a range to each channel, in units of the image's standard deviation."""

    probability: float
    shift: Range

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the brighter or darker image, or the image as it is."""
        if rng.random() >= self.probability:
            return image
        return np.asarray(image + _per_channel(image, rng, self.shift))


@dataclass(frozen=True)
class Contrast:
    """Multiplies each channel's distance from its mean by a factor drawn from a range."""

    probability: float
    factor: Range

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the image with another contrast, or as it is."""
        if rng.random() >= self.probability:
            return image
        mean = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
        scaled: np.ndarray = image - mean
        scaled *= _per_channel(image, rng, self.factor)
        scaled += mean
        return scaled


@dataclass(frozen=True)
class Gamma:
    """Raises the image, rescaled to [0, 1], to a power; mean and standard deviation stay."""

    probability: float
    exponent: Range

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the image after the power law, or as it is."""
        if rng.random() >= self.probability:
            return image
        exponent = np.float32(rng.uniform(*self.exponent))
        low, high = image.min(), image.max()
        # Too small a range cannot be rescaled in float32, and holds nothing that could be seen.
        if high - low < 1e-6:
            return image
        bent: np.ndarray = (image - low) / (high - low)
        bent **= exponent
        bent -= bent.mean()
        bent *= image.std() / bent.std()
        bent += image.mean()
        return bent


def _per_channel(image: np.ndarray, rng: np.random.Generator, range_: Range) -> np.ndarray:
    values = rng.uniform(*range_, size=len(image)).astype(np.float32)
    return values.reshape(-1, *(1,) * (image.ndim - 1))
