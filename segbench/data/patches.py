"""Training sample number k: which case, which place, which transform. A function of (seed, k) alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from segbench.data.arrays import ArraySpec, LazyArrays
from segbench.data.augmentations.augmenter import Augmenter, Place
from segbench.data.augmentations.on_device import PendingImage, PendingSample
from segbench.data.augmentations.spatial import SpatialDraw, line_offsets, offsets
from segbench.data.case import IGNORE
from segbench.data.case_meta import Intensities
from segbench.data.interpolation import Places
from segbench.data.network_input import NetworkInput
from segbench.data.normalize import Normalize
from segbench.data.placement import Placement, TrainingCases
from segbench.data.sample import Sample
from segbench.data.slices import Slices
from segbench.data.store import StoredCase
from segbench.data.targets import Target

Recolour = Callable[[np.ndarray, Sequence[Intensities]], np.ndarray]

WEIGHT = "weight"
"""The key of the pixels' weights in samples and batches."""


@dataclass(frozen=True)
class PatchSampler:
    """A sampler of training samples.

    Attributes:
        cases: the training cases.
        patch_size: (P_1, .., P_D) in pixels.
        placement: where each sample is cut.
        augmentation: makes the patch of a place, changed at random.
        targets: for each head the function that makes its target.
        normalize: brings raw intensities to float32 of mean 0 and deviation 1.
        weight: the function that makes the weight of each pixel in the loss, or None.
        input_arrays: the arrays that the network sees besides the image, by name.
        slices: the way in which volumes are cut for a 2D network, whose patch has two sizes then; None: not at all.
    """

    cases: TrainingCases
    patch_size: Sequence[int]
    placement: Placement
    augmentation: Augmenter
    targets: Mapping[str, Target]
    normalize: Normalize
    weight: Target | None = None
    input_arrays: Mapping[str, ArraySpec] = field(default_factory=dict)
    slices: Slices | None = None

    @cached_property
    def network_input(self) -> NetworkInput:
        """The network's input, of a case."""
        return NetworkInput(self.normalize, self.input_arrays)

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Sample number k: image (C, *P) float32, one target per head, the weight if any, and the case's id."""
        rng = np.random.default_rng([self.cases.seed, k])
        case, start = self._place(k, rng)
        pins_centre = getattr(self.placement, "pins_centre", False)
        place = Place(case, start, self.patch_size, pins_centre)
        sample = self.augmentation.patch(place, self.cases, self.normalize, rng)
        learnt = self.targets if self.weight is None else {**self.targets, WEIGHT: self.weight}
        result: dict[str, Any] = {
            key: torch.from_numpy(np.ascontiguousarray(target(sample))) for key, target in learnt.items()
        }
        result["image"] = self._seen(sample)
        result["case_id"] = case.id
        return result

    def _place(self, k: int, rng: np.random.Generator) -> tuple[StoredCase, np.ndarray]:
        """A case, or a slice of one, and the first pixel of sample k in it."""
        if self.slices is None:
            return self.placement(self.cases, k, self.patch_size, rng)
        volume, start = self.placement(self.cases, k, self.slices.volume_patch(self.patch_size), rng)
        return self.slices.cut(volume, start)

    def _seen(self, sample: Sample) -> torch.Tensor | PendingImage:
        """The network's input, or what it is made of later."""
        if isinstance(sample, PendingSample):
            if not self.input_arrays:
                return sample.pending
            nothing = np.empty((0, *self.patch_size), dtype=np.float32)
            behind = self.network_input.extended(nothing, sample.arrays)
            return replace(sample.pending, channels=torch.from_numpy(np.ascontiguousarray(behind, dtype=np.float32)))
        seen = self.network_input.extended(sample.image, sample.arrays)
        return torch.from_numpy(np.ascontiguousarray(seen, dtype=np.float32))


def read_patch(
    case: StoredCase,
    start: np.ndarray,
    draw: SpatialDraw,
    patch_size: Sequence[int],
    normalize: Normalize,
    recolour: Recolour | None = None,
) -> Sample:
    """One transformed patch: image (C, *P) float32 by linear interpolation, label and instances by nearest.

    Whatever the transform reads beyond the image is the mirrored image, with the label 255 (ignore) and
    no instances: a network sees a natural border and learns nothing from it. Extra arrays are mirrored, too.

    Args:
        case: what is read.
        start: the patch's first pixel in the source, (D,).
        draw: how it is turned and bent, about the patch's centre.
        patch_size: (P_1, .., P_D) in pixels.
        normalize: brings raw intensities to float32.
        recolour: changes raw intensities before, and leaves its argument as it is.
    """
    return _read(_Window.of(start, draw, patch_size), case, normalize, recolour, None)


def read_pending_patch(
    case: StoredCase,
    start: np.ndarray,
    draw: SpatialDraw,
    patch_size: Sequence[int],
    normalize: Normalize,
    recolour: Recolour | None,
    device: str,
) -> PendingSample:
    """The same patch, whose image is still to be made on a device; arguments as of `read_patch`."""
    sample = _read(_Window.of(start, draw, patch_size), case, normalize, recolour, device)
    assert isinstance(sample, PendingSample)
    return sample


def _read(
    window: _Window, case: StoredCase, normalize: Normalize, recolour: Recolour | None, device: str | None
) -> Sample:
    intensities = case.meta.intensities
    raw = window.cut(case.image)
    coloured = raw if recolour is None else recolour(raw, intensities)
    box = normalize(coloured, intensities)
    image = window.linear(box) if device is None else None
    sample = (Sample if device is None else PendingSample)(
        image=image,  # type: ignore[arg-type]  # a pending one has none
        label=window.nearest(window.cut(case.label, beyond=IGNORE)),
        instances=None if case.instances is None else window.nearest(window.cut(case.instances, beyond=0)),
        spacing=case.spacing,
        arrays=LazyArrays(case.arrays, lambda name: window.array(case.arrays[name])),
        make_original=lambda: (
            image if coloured is raw and image is not None else window.linear(normalize(raw, intensities))
        ),
    )
    if isinstance(sample, PendingSample) and device is not None:
        object.__setattr__(sample, "pending", PendingImage.of(box, window.places, window.draw, device))
    return sample


@dataclass(frozen=True)
class _Window:
    """The place that a patch is read from, in all arrays of a case alike.

    Attributes:
        low: the first pixel of the box that is cut out, (D,).
        high: the last + 1.
        places: of the patch's pixels in the box; None: it is the box.
        draw: the transform, whose quarter turns and flips come last.
    """

    low: np.ndarray
    high: np.ndarray
    places: Places | None
    draw: SpatialDraw

    @classmethod
    def of(cls, start: np.ndarray, draw: SpatialDraw, patch_size: Sequence[int]) -> _Window:
        """The window of a patch; arguments as of `read_patch`."""
        size = draw.turn.before(patch_size)
        start = start + np.subtract(patch_size, size) // 2
        if draw.on_grid:
            low = start + draw.shift.astype(int)
            return cls(low, low + size, None, draw)
        centre = start + (np.asarray(size) - 1) / 2
        low, high = np.empty((2, len(size)), dtype=int)
        lines = {axis: centre[axis] + line for axis, line in line_offsets(draw, size).items()}
        for axis, line in lines.items():
            low[axis], high[axis] = math.floor(line.min()), math.ceil(line.max()) + 1
        points, others = None, [axis for axis in range(len(size)) if axis not in lines]
        if others:
            points = offsets(draw.of_axes(others), [size[axis] for axis in others])
            low[others], high[others] = _bounds(points, centre[others])
            points += (centre - low)[others].astype(np.float32).reshape(-1, *(1,) * len(others))
        return cls(low, high, Places({axis: line - low[axis] for axis, line in lines.items()}, points), draw)

    def cut(self, array: np.ndarray, beyond: int | None = None) -> np.ndarray:
        """The box of an array (.., *S); what lies beyond the array is mirrored, or `beyond`."""
        return _cut(array, self.low, self.high, beyond)

    def linear(self, box: np.ndarray) -> np.ndarray:
        """The patch (C, *P) of a box with channels, of float32."""
        return self.draw.turned(box if self.places is None else self.places.linear(box))

    def nearest(self, box: np.ndarray) -> np.ndarray:
        """The patch (.., *P) of a box, by nearest pixel."""
        return self.draw.turned(box if self.places is None else self.places.nearest(box))

    def array(self, array: np.ndarray) -> np.ndarray:
        """The patch of an extra array (*S) or (C, *S): of floats linearly, of others by nearest pixel."""
        box = self.cut(array)
        if box.dtype.kind != "f":
            return self.nearest(box)
        box = box.astype(np.float32, copy=False)
        return self.linear(box) if box.ndim > len(self.low) else self.linear(box[None])[0]


def mirror(position: np.ndarray, length: int) -> np.ndarray:
    """Indices reflected at the centres of the first and last pixel into [0, length - 1]."""
    if length == 1:
        return np.zeros_like(position)
    period = 2 * (length - 1)
    folded = np.mod(position, period)
    return np.asarray(np.minimum(folded, period - folded))


def _bounds(offset: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 of the pixels that interpolation at centre + offset (D, *P) reads: (D,) each."""
    axes = tuple(range(1, offset.ndim))
    low = np.floor(centre + offset.min(axis=axes)).astype(int)
    high = np.ceil(centre + offset.max(axis=axes)).astype(int) + 1
    return low, high


def _cut(array: np.ndarray, low: np.ndarray, high: np.ndarray, beyond: int | None = None) -> np.ndarray:
    """The box from low to high of the last axes; what lies beyond the array is mirrored, or `beyond`."""
    lines = [np.arange(first, last) for first, last in zip(low, high, strict=True)]
    sources = [mirror(line, length) for line, length in zip(lines, array.shape[-len(low) :], strict=True)]
    covering: tuple[Any, ...] = (..., *(slice(source.min(), source.max() + 1) for source in sources))
    box = np.asarray(array[covering])
    for axis, (line, source) in enumerate(zip(lines, sources, strict=True), start=-len(low)):
        outside = line != source
        if outside.any():
            box = box.take(source - source.min(), axis)
            if beyond is not None:
                np.moveaxis(box, axis, 0)[outside] = beyond
    return box
