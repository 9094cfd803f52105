"""Training sample number k: which case, which place, which transform. A function of (seed, k) alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn.functional import grid_sample

from segbench.data.augmentation import Augmentation
from segbench.data.case import IGNORE
from segbench.data.normalize import Normalize
from segbench.data.spatial import SpatialDraw, offsets
from segbench.data.store import CaseStore, StoredCase
from segbench.data.targets import Target


@dataclass(frozen=True)
class PatchSampler:
    """Draws training samples.

    Attributes:
        store: the decoded cases.
        cases: ids of the training cases; each is drawn once before any is drawn again.
        patch_size: (P_1, .., P_D) in pixels.
        foreground: probability that the patch is centred on a pixel of a foreground class, the class
            being drawn evenly from those present; otherwise the place is uniform.
        augmentation: the random transforms.
        targets: for each head the function that makes its target.
        normalize: brings raw intensities to float32 of mean 0 and deviation 1.
        background: the class that does not count as foreground, or None.
        seed: of the whole run.
    """

    store: CaseStore
    cases: Sequence[str]
    patch_size: Sequence[int]
    foreground: float
    augmentation: Augmentation
    targets: Mapping[str, Target]
    normalize: Normalize
    background: int | None
    seed: int

    def __getitem__(self, k: int) -> dict[str, Any]:
        """Sample number k: image (C, *P) float32, one target per head, and the case's id."""
        rng = np.random.default_rng([self.seed, k])
        name = self.cases[case_order(self.seed, len(self.cases), k // len(self.cases))[k % len(self.cases)]]
        case = self.store[name]
        place = self.place(case, rng)
        draw = self.augmentation.spatial.draw(self.patch_size, case.spacing, rng)
        image, label, instances = read_patch(case, place, draw, self.patch_size, self.normalize)
        for transform in self.augmentation.intensity:
            image = transform(image, rng)
        sample: dict[str, Any] = {
            head: torch.from_numpy(np.ascontiguousarray(target(label, instances, case.spacing)))
            for head, target in self.targets.items()
        }
        sample["image"] = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
        sample["case_id"] = name
        return sample

    def place(self, case: StoredCase, rng: np.random.Generator) -> np.ndarray:
        """The patch's centre in the source, in pixels (D,); inside the image as far as the patch fits."""
        shape = np.asarray(case.image.shape[1:])
        size = np.asarray(self.patch_size)
        low, high = (size - 1) / 2, shape - (size + 1) / 2
        middle = (shape - 1) / 2
        if rng.random() < self.foreground:
            present = [value for value in case.locations if value != self.background]
            if present:
                pixels = case.locations[present[rng.integers(len(present))]]
                wanted = np.unravel_index(int(pixels[rng.integers(len(pixels))]), tuple(shape))
                # Half a pixel off for even sizes: the patch then lies on the image's own grid.
                centre = np.asarray(wanted) - (1 - size % 2) / 2
                return np.where(high >= low, np.clip(centre, low, np.maximum(low, high)), np.floor(middle - low) + low)
        steps = np.maximum(high - low, 0)
        free = low + rng.integers(0, steps.astype(int) + 1)
        return np.where(high >= low, free, np.floor(middle - low) + low)


@lru_cache(maxsize=4)
def case_order(seed: int, count: int, round_: int) -> np.ndarray:
    """The order in which the cases are drawn in their n-th round: a permutation."""
    return np.random.default_rng([seed, round_, count, 1]).permutation(count)


def read_patch(
    case: StoredCase, centre: np.ndarray, draw: SpatialDraw, patch_size: Sequence[int], normalize: Normalize
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """One transformed patch: image (C, *P) float32 by linear interpolation, label and instances by nearest.

    Outside the image the image is mirrored and the label is 255 (ignore): a network sees a natural
    border and learns nothing from it.
    """
    if case.label is None:
        raise ValueError(f"case {case.id} has no label and cannot be trained on")
    shape = case.image.shape[1:]
    if draw.on_grid:
        start = np.rint(centre - (np.asarray(patch_size) - 1) / 2).astype(int)
        lines = [np.arange(first, first + size) for first, size in zip(start, patch_size, strict=True)]
        where = np.ix_(*(mirror(line, length) for line, length in zip(lines, shape, strict=True)))
        outside = _any_outside(np.ix_(*lines), shape)
        image = normalize(case.image[(slice(None), *where)], case.meta.intensities)
        nearest: tuple[np.ndarray, ...] = where
    else:
        position = offsets(draw, patch_size) + centre.astype(np.float32).reshape(-1, *(1,) * len(shape))
        inside = np.stack([mirror(line, length) for line, length in zip(position, shape, strict=True)])
        image = _interpolate(case, inside, normalize)
        nearest = tuple(np.rint(inside).astype(np.intp))
        outside = _any_outside(tuple(np.rint(position)), shape)
    label = np.where(outside, np.uint8(IGNORE), case.label[nearest])
    instances = None if case.instances is None else np.where(outside, 0, case.instances[nearest]).astype(np.int32)
    axes = [axis for axis, flip in enumerate(draw.flips) if flip]
    if axes:
        image = np.flip(image, [axis + 1 for axis in axes])
        label = np.flip(label, axes)
        instances = None if instances is None else np.flip(instances, axes)
    return image, label, instances


def mirror(position: np.ndarray, length: int) -> np.ndarray:
    """Positions reflected at the centres of the first and last pixel into [0, length - 1]."""
    if length == 1:
        return np.zeros_like(position)
    period = 2 * (length - 1)
    folded = np.mod(position, period)
    return np.asarray(np.minimum(folded, period - folded))


def _any_outside(position: tuple[np.ndarray, ...], shape: Sequence[int]) -> np.ndarray:
    outside: np.ndarray = np.zeros((), dtype=bool)
    for line, length in zip(position, shape, strict=True):
        outside = outside | (line < 0) | (line > length - 1)
    return outside


def _interpolate(case: StoredCase, position: np.ndarray, normalize: Normalize) -> np.ndarray:
    """Linear interpolation of the image at positions (D, *P) inside it; reads their bounding box only."""
    axes = tuple(range(1, position.ndim))
    low = np.floor(position.min(axis=axes)).astype(int)
    high = np.ceil(position.max(axis=axes)).astype(int) + 1
    window = normalize(case.image[(slice(None), *map(slice, low, high))], case.meta.intensities)
    extent = np.maximum(high - low - 1, 1).reshape(-1, *(1,) * (position.ndim - 1))
    relative = (position - low.reshape(extent.shape)) * (2 / extent) - 1
    # grid_sample wants the last axis first, and the coordinates last.
    grid = torch.from_numpy(np.ascontiguousarray(np.moveaxis(relative[::-1], 0, -1), dtype=np.float32))
    source = torch.from_numpy(np.ascontiguousarray(window))
    result = grid_sample(source[None], grid[None], mode="bilinear", padding_mode="border", align_corners=True)
    return np.asarray(result[0].numpy())
