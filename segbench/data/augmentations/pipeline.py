"""Random changes of a training sample: a spatial transform, then colours, then intensities.

A transform of colours or intensities is any callable `(image, rng) -> image` that leaves its argument as it is. Those
of colours (`colour`) get the image as it was decoded, or what another one has made of it in the same unit, those of
intensities float32 (C, *P), z-scored. MONAI's array transforms ask for a random state of their own, albumentations'
clip to [0, 1], so the usual ones are written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from segbench.data.augmentations.augmenter import Place
from segbench.data.augmentations.colour import BetweenBlackAndWhite, HistogramMatching
from segbench.data.augmentations.elastic import Range
from segbench.data.augmentations.spatial import Spatial, flat_axes
from segbench.data.case_meta import Intensities
from segbench.data.normalize import Normalize
from segbench.data.patches import read_patch
from segbench.data.placement import TrainingCases
from segbench.data.resample import along_axes, cubic_matrix
from segbench.data.sample import Sample
from segbench.data.store import StoredCase

Intensity = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Augmentation:
    """A spatial part, and transforms of colours and intensities by name, applied in their order.

    Attributes:
        spatial: turns, scales, shifts and bends image and label.
        matching: gives the image another training case's histogram, before all others; None does not.
        colour: of the image as decoded, before it is normalised.
        intensity: of the normalised patch.

    Raises:
        ValueError: where something named is no transform.
    """

    spatial: Spatial = field(default_factory=Spatial)
    matching: HistogramMatching | None = None
    colour: Mapping[str, Intensity] = field(default_factory=dict)
    intensity: Mapping[str, Intensity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in ("colour", "intensity"):
            named = getattr(self, part)
            if not isinstance(named, Mapping):
                raise ValueError(f"{part}: must be transforms by name, such as {part}: {{noise: {{_target_: ..}}}}")
            for name, transform in named.items():
                if not callable(transform):
                    raise ValueError(
                        f"{part}.{name}={transform}: must have a _target_; ~augmentation.{part}.{name} leaves it out"
                    )

    def check(self, case: StoredCase, patch_size: Sequence[int]) -> None:
        """Check that the transforms suit the data; see `Augmenter`."""
        self.spatial.draw(patch_size, case.spacing, np.random.default_rng(0))
        self._recolourings(case)

    def patch(self, place: Place, cases: TrainingCases, normalize: Normalize, rng: np.random.Generator) -> Sample:
        """Return a transformed patch; see `Augmenter`."""
        draw = self.spatial.draw(place.size, place.case.spacing, rng)
        if place.pins_centre:
            draw = draw.pinned(place.size)

        def recolour(raw: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
            if self.matching is not None:
                other = cases.ids[int(rng.integers(len(cases.ids)))]
                raw = self.matching(raw, channels, cases.store.meta(other).intensities, rng)
            for transform in self._recolourings(place.case):
                raw = transform(raw, rng)
            return raw

        sample = read_patch(place.case, place.start, draw, place.size, normalize, recolour)
        image = sample.image
        for transform in self.intensity.values():
            image = transform(image, rng)
        return sample if image is sample.image else replace(sample, image=image)

    def _recolourings(self, case: StoredCase) -> list[Intensity]:
        """The transforms of colours, with the white of a case."""
        dtype, channels = np.dtype(case.meta.dtype), case.meta.intensities
        return [
            transform.for_case(dtype, channels) if isinstance(transform, BetweenBlackAndWhite) else transform
            for transform in self.colour.values()
        ]


@dataclass(frozen=True)
class Noise:
    """Gaussian noise with a variance drawn from a range."""

    probability: float
    variance: Range

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image with noise, or as it is."""
        if rng.random() >= self.probability:
            return image
        deviation = math.sqrt(rng.uniform(*self.variance))
        noisy = rng.standard_normal(image.shape, dtype=np.float32)
        noisy *= deviation
        noisy += image
        return noisy


@dataclass(frozen=True)
class Blur:
    """Gaussian blur with a width in pixels drawn from a range for each channel.

    Attributes:
        probability: of blurring at all.
        sigma: range of the width.
        channels: share of the channels that are blurred (nnU-Net: 0.5).
    """

    probability: float
    sigma: Range
    channels: float = 1.0

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the blurred image, or the image as it is."""
        if rng.random() >= self.probability:
            return image
        blurred = image.copy()
        for channel in np.flatnonzero(rng.random(len(image)) < self.channels):
            blurred[channel] = _blurred(image[channel], rng.uniform(*self.sigma))
        return blurred


@dataclass(frozen=True)
class LowResolution:
    """A lower resolution: shrunk to nearest pixels, enlarged by cubic convolution.

    nnU-Net shrinks to 0.5 .. 1 of the size.

    Attributes:
        probability: of doing so at all.
        zoom: range of the shrunk size, as a share of the size; drawn for each channel.
        channels: share of the channels that are shrunk (nnU-Net: 0.5).
        axes: of the patch; None: all. In volumes with thick slices name those within the slices: [1, 2].
        flat_patch: leaves out the axes that `Spatial` leaves out by it.
    """

    probability: float
    zoom: Range
    channels: float = 1.0
    axes: Sequence[int] | None = None
    flat_patch: float | None = None

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image at lower resolution, or as it is."""
        if rng.random() >= self.probability:
            return image
        coarse = image.copy()
        for channel in np.flatnonzero(rng.random(len(image)) < self.channels):
            zoom, shape = rng.uniform(*self.zoom), image.shape[1:]
            flat = flat_axes(shape, self.flat_patch)
            axes = [axis for axis in (range(len(shape)) if self.axes is None else self.axes) if axis not in flat]
            small = [max(1, round(size * zoom)) if axis in axes else size for axis, size in enumerate(shape)]
            kept = [((np.arange(few) + 0.5) * size / few).astype(int) for few, size in zip(small, shape, strict=True)]
            enlarge = [cubic_matrix(few, size, span=False) for few, size in zip(small, shape, strict=True)]
            coarse[channel] = along_axes(image[channel][np.ix_(*kept)], enlarge)
        return coarse


@dataclass(frozen=True)
class Brightness:
    """A factor and an offset for each channel, each drawn from a range.

    Attributes:
        probability: of doing so at all.
        shift: range of what is added, in units of the image's standard deviation.
        factor: range of the factor (nnU-Net: 0.75 to 1.25).
    """

    probability: float
    shift: Range = (0.0, 0.0)
    factor: Range = (1.0, 1.0)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the brighter or darker image, or the image as it is."""
        if rng.random() >= self.probability:
            return image
        result: np.ndarray = image * _per_channel(image, rng, self.factor)
        result += _per_channel(image, rng, self.shift)
        return result


@dataclass(frozen=True)
class Contrast:
    """A factor for each channel's distance from its mean, drawn from a range.

    Attributes:
        probability: of doing so at all.
        factor: range of the factor.
        keep_range: no value leaves the range that its channel had, as in nnU-Net.
    """

    probability: float
    factor: Range
    keep_range: bool = False

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image with another contrast, or as it is."""
        if rng.random() >= self.probability:
            return image
        axes = tuple(range(1, image.ndim))
        mean = image.mean(axis=axes, keepdims=True)
        scaled: np.ndarray = image - mean
        scaled *= _per_channel(image, rng, self.factor)
        scaled += mean
        if self.keep_range:
            np.clip(scaled, image.min(axis=axes, keepdims=True), image.max(axis=axes, keepdims=True), out=scaled)
        return scaled


@dataclass(frozen=True)
class Gamma:
    """A power law of the image, rescaled to [0, 1]; mean and standard deviation stay.

    Attributes:
        probability: of doing so at all.
        exponent: range of the power.
        invert: bends the negative instead: bright becomes dark, is bent, and becomes bright again.
        channels_apart: each channel has its own power, range, mean and deviation, as in nnU-Net; otherwise they are
            those of all channels together, which keeps colours.
    """

    probability: float
    exponent: Range
    invert: bool = False
    channels_apart: bool = False

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the image after the power law, or as it is."""
        if rng.random() >= self.probability:
            return image
        if self.channels_apart:
            return np.stack([self._bent(channel, rng) for channel in image])
        return self._bent(image, rng)

    def _bent(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        exponent = np.float32(rng.uniform(*self.exponent))
        low, high = image.min(), image.max()
        if self.invert:
            low, high = high, low
        # Too small a range cannot be rescaled in float32, and holds nothing that could be seen.
        if abs(high - low) < 1e-6:
            return image
        bent: np.ndarray = image - low
        bent /= high - low
        bent **= exponent
        factor = np.float32(math.copysign(image.std() / bent.std(), high - low))
        offset = image.mean() - factor * bent.mean()
        bent *= factor
        bent += offset
        return bent


def _blurred(channel: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing of one channel (*P), mirrored beyond its border and cut off at 4 sigma, as scipy's.

    Shifted sums: the widths are small, and a filter that walks line by line takes several times as long.
    """
    radius = int(4 * sigma + 0.5)
    if channel.ndim < 3 or not 0 < radius <= min(channel.shape):
        return np.asarray(gaussian_filter(channel, sigma))
    kernel = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    kernel /= 2 * kernel.sum() - kernel[0]
    result = torch.from_numpy(np.ascontiguousarray(channel))
    for axis, length in enumerate(channel.shape):
        border = [(axis, slice(None, radius)), (axis, slice(length - radius, None))]
        before, after = (result[(slice(None),) * at + (part,)].flip(at) for at, part in border)
        longer = torch.cat([before, result, after], axis)
        result = longer.narrow(axis, radius, length) * float(kernel[0])
        for shift in range(1, radius + 1):
            for start in (radius - shift, radius + shift):
                result.add_(longer.narrow(axis, start, length), alpha=float(kernel[shift]))
    return result.numpy()


def _per_channel(image: np.ndarray, rng: np.random.Generator, range_: Range) -> np.ndarray:
    values = rng.uniform(*range_, size=len(image)).astype(np.float32)
    return values.reshape(-1, *(1,) * (image.ndim - 1))
