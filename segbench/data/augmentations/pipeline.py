"""Random changes of a training sample: a spatial transform, then colours, then intensities.

A transform of colours or intensities is any callable `(image, rng) -> image` that leaves its argument as it is. Those
of colours (`colour`) get the image as it was decoded, or what another one has made of it in the same unit, those of
intensities float32 (C, *P), z-scored. MONAI's array transforms ask for a random state of their own, albumentations'
clip to [0, 1], so the usual ones are written here, for tensors: so a patch changes alike in a worker and on a GPU.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from segbench.data.augmentations.augmenter import Place
from segbench.data.augmentations.colour import BetweenBlackAndWhite, HistogramMatching
from segbench.data.augmentations.elastic import Range
from segbench.data.augmentations.spatial import Spatial, flat_axes
from segbench.data.case_meta import Intensities
from segbench.data.normalize import Normalize
from segbench.data.patches import read_patch, read_pending_patch
from segbench.data.placement import TrainingCases
from segbench.data.resample import cubic_matrix
from segbench.data.sample import Sample
from segbench.data.store import StoredCase
from segbench.errors import UserError

Intensity = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Augmentation:
    """A spatial part, and transforms of colours and intensities by name, applied in their order.

    Attributes:
        spatial: turns, scales, shifts and bends image and label.
        matching: gives the image another training case's histogram, before all others; None does not.
        colour: of the image as decoded, before it is normalised.
        intensity: of the normalised patch.
        device: "cuda" reads, turns and changes the images of a batch on the GPU, out of what workers cut out for
            them; labels and targets are made in the workers. None: everything is.

    Raises:
        ValueError: where something named is no transform.
    """

    spatial: Spatial = field(default_factory=Spatial)
    matching: HistogramMatching | None = None
    colour: Mapping[str, Intensity] = field(default_factory=dict)
    intensity: Mapping[str, Intensity] = field(default_factory=dict)
    device: str | None = None

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
        if self.device is not None and torch.device(self.device).type == "cuda" and not torch.cuda.is_available():
            raise UserError(
                f"augmentation.device={self.device}: PyTorch sees no GPU here; augmentation.device=null makes images in"
                " the workers"
            )

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

        if self.device is not None:
            later = read_pending_patch(
                place.case, place.start, draw, place.size, normalize, recolour, device=self.device
            )
            pending = replace(later.pending, intensity=tuple(self.intensity.values()), rng=rng)
            object.__setattr__(later, "pending", pending)
            return later
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
class IntensityTransform(ABC):
    """A change of intensities that comes with a probability.

    Attributes:
        probability: of changing anything at all.
    """

    probability: float

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the changed image (C, *P), or the image as it is."""
        if rng.random() >= self.probability:
            return image
        return np.asarray(self.change(torch.from_numpy(np.ascontiguousarray(image)), rng).numpy())

    def on_tensor(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the same of an image on any device."""
        return self.change(image, rng) if rng.random() < self.probability else image

    @abstractmethod
    def change(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the changed image (C, *P); its argument stays as it is."""


@dataclass(frozen=True)
class Noise(IntensityTransform):
    """Gaussian noise with a variance drawn from a range."""

    variance: Range

    def change(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the image with noise."""
        deviation = math.sqrt(rng.uniform(*self.variance))
        noise = torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32))
        return image.add(noise.to(image.device, non_blocking=True), alpha=deviation)


@dataclass(frozen=True)
class Blur(IntensityTransform):
    """Gaussian blur with a width in pixels drawn from a range for each channel.

    Attributes:
        probability: of blurring at all.
        sigma: range of the width.
        channels: share of the channels that are blurred (nnU-Net: 0.5).
    """

    sigma: Range
    channels: float = 1.0

    def change(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the blurred image."""
        blurred = image.clone()
        for channel in np.flatnonzero(rng.random(len(image)) < self.channels):
            blurred[channel] = _blurred(image[channel], rng.uniform(*self.sigma))
        return blurred


@dataclass(frozen=True)
class LowResolution(IntensityTransform):
    """A lower resolution: shrunk to nearest pixels, enlarged by cubic convolution.

    nnU-Net shrinks to 0.5 .. 1 of the size.

    Attributes:
        probability: of doing so at all.
        zoom: range of the shrunk size, as a share of the size; drawn for each channel.
        channels: share of the channels that are shrunk (nnU-Net: 0.5).
        axes: of the patch; None: all. In volumes with thick slices name those within the slices: [1, 2].
        flat_patch: leaves out the axes that `Spatial` leaves out by it.
    """

    zoom: Range
    channels: float = 1.0
    axes: Sequence[int] | None = None
    flat_patch: float | None = None

    def change(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the image at lower resolution."""
        coarse = image.clone()
        shape = image.shape[1:]
        flat = flat_axes(shape, self.flat_patch)
        axes = [axis for axis in (range(len(shape)) if self.axes is None else self.axes) if axis not in flat]
        for channel in np.flatnonzero(rng.random(len(image)) < self.channels):
            zoom = rng.uniform(*self.zoom)
            result = image[channel]
            few = {axis: max(1, round(shape[axis] * zoom)) for axis in axes}
            for axis, count in few.items():
                kept = ((np.arange(count) + 0.5) * shape[axis] / count).astype(int)
                result = result.index_select(axis, torch.from_numpy(kept).to(image.device))
            for axis, count in few.items():
                enlarge = torch.from_numpy(cubic_matrix(count, shape[axis], span=False)).to(image.device)
                result = torch.movedim(torch.movedim(result, axis, -1) @ enlarge.T, -1, axis)
            coarse[channel] = result
        return coarse


@dataclass(frozen=True)
class Brightness(IntensityTransform):
    """A factor and an offset for each channel, each drawn from a range.

    Attributes:
        probability: of doing so at all.
        shift: range of what is added, in units of the image's standard deviation.
        factor: range of the factor (nnU-Net: 0.75 to 1.25).
    """

    shift: Range = (0.0, 0.0)
    factor: Range = (1.0, 1.0)

    def change(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the brighter or darker image."""
        factor = _per_channel(image, rng, self.factor)
        return image * factor + _per_channel(image, rng, self.shift)


@dataclass(frozen=True)
class Contrast(IntensityTransform):
    """A factor for each channel's distance from its mean, drawn from a range.

    Attributes:
        probability: of doing so at all.
        factor: range of the factor.
        keep_range: no value leaves the range that its channel had, as in nnU-Net.
    """

    factor: Range
    keep_range: bool = False

    def change(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the image with another contrast."""
        axes = tuple(range(1, image.ndim))
        mean = image.mean(axes, keepdim=True)
        scaled = (image - mean).mul_(_per_channel(image, rng, self.factor)).add_(mean)
        if self.keep_range:
            scaled = torch.clamp(scaled, image.amin(axes, keepdim=True), image.amax(axes, keepdim=True))
        return scaled


@dataclass(frozen=True)
class Gamma(IntensityTransform):
    """A power law of the image, rescaled to [0, 1]; mean and standard deviation stay.

    Attributes:
        probability: of doing so at all.
        exponent: range of the power.
        invert: bends the negative instead: bright becomes dark, is bent, and becomes bright again.
        channels_apart: each channel has its own power, range, mean and deviation, as in nnU-Net; otherwise they are
            those of all channels together, which keeps colours.
    """

    exponent: Range
    invert: bool = False
    channels_apart: bool = False

    def change(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the image after the power law."""
        if self.channels_apart:
            return torch.stack([self._bent(channel, rng) for channel in image])
        return self._bent(image, rng)

    def _bent(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        exponent = rng.uniform(*self.exponent)
        low, high = (end.item() for end in torch.aminmax(image))
        if self.invert:
            low, high = high, low
        # Too small a range cannot be rescaled in float32, and holds nothing that could be seen.
        if abs(high - low) < 1e-6:
            return image
        bent = (image - low).div_(high - low).pow_(exponent)
        deviations = [array.std(correction=0) for array in (image, bent)]
        factor = deviations[0] / deviations[1] * math.copysign(1.0, high - low)
        return bent.sub_(bent.mean()).mul_(factor).add_(image.mean())


def _blurred(channel: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of one channel (*P), mirrored beyond its border and cut off at 4 sigma, as scipy's.

    Shifted sums: the widths are small, and a filter that walks line by line takes several times as long.
    """
    radius = int(4 * sigma + 0.5)
    if not radius:
        return channel
    kernel = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    kernel /= 2 * kernel.sum() - kernel[0]
    for axis, length in enumerate(channel.shape):
        mirrored = np.arange(-radius, length + radius) % (2 * length)
        mirrored = np.minimum(mirrored, 2 * length - 1 - mirrored)
        longer = channel.index_select(axis, torch.from_numpy(mirrored).to(channel.device))
        channel = longer.narrow(axis, radius, length) * float(kernel[0])
        for shift in range(1, radius + 1):
            for start in (radius - shift, radius + shift):
                channel.add_(longer.narrow(axis, start, length), alpha=float(kernel[shift]))
    return channel


def _per_channel(image: Tensor, rng: np.random.Generator, range_: Range) -> Tensor:
    values = rng.uniform(*range_, size=len(image)).astype(np.float32)
    return torch.from_numpy(values.reshape(-1, *(1,) * (image.ndim - 1))).to(image.device)
