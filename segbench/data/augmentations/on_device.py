"""Images of training patches that are made on a device, such as a GPU, instead of in the loader's workers.

A worker draws what becomes of a patch and makes its label and targets. The image it sends as the box that it is read
from, with the places, the transforms, and the random generator as it stands: what follows draws the same numbers
wherever it runs, so that sample number k is the same, within rounding, as one that a worker finishes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torch.utils.data import default_collate

from segbench.data.augmentations.spatial import SpatialDraw
from segbench.data.interpolation import Places
from segbench.data.resample import linear_matrix
from segbench.data.sample import Sample
from segbench.errors import UserError

Intensity = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class PendingImage:
    """An image that is still to be made.

    Attributes:
        box: (C, *B) float32, what it is read from, normalised.
        lines: as of `Places`.
        points: as of `Places`.
        turn: the quarter turns and flips that come last.
        device: that makes it.
        intensity: the transforms of intensities, in their order.
        rng: is drawn from, a copy each time.
        channels: (N, *P) float32 that follow those of the image, or None.
    """

    box: Tensor
    lines: Mapping[int, np.ndarray]
    points: Tensor | None
    turn: SpatialDraw
    device: str
    intensity: Sequence[Intensity] = ()
    rng: np.random.Generator | None = None
    channels: Tensor | None = None

    @classmethod
    def of(cls, box: np.ndarray, places: Places | None, draw: SpatialDraw, device: str) -> PendingImage:
        """The image of a box, before its intensities change."""
        lines, points = ({}, None) if places is None else (places.lines, places.points)
        of_points = None if points is None else torch.from_numpy(points)
        return cls(torch.from_numpy(np.ascontiguousarray(box)), lines, of_points, replace(draw, bend=None), device)

    def make(self) -> Tensor:
        """The image (C + N, *P), on its device."""
        image = self.box.to(self.device, non_blocking=True)
        for axis, line in self.lines.items():
            weights = torch.from_numpy(linear_matrix(line, image.shape[1 + axis])).to(image)
            image = torch.movedim(torch.movedim(image, 1 + axis, -1) @ weights.T, -1, 1 + axis)
        if self.points is not None:
            axes = [1 + axis for axis in range(image.ndim - 1) if axis not in self.lines]
            image = _linear(image, self.points.to(self.device, non_blocking=True), axes)
        image = _turned(image, self.turn)
        rng = copy.deepcopy(self.rng) or np.random.default_rng(0)
        for transform in self.intensity:
            on_tensor = getattr(transform, "on_tensor", None)
            if on_tensor is None:  # one of the user, of arrays
                image = torch.from_numpy(np.ascontiguousarray(transform(image.cpu().numpy(), rng))).to(image.device)
            else:
                image = on_tensor(image, rng)
        return image if self.channels is None else torch.cat([image, self.channels.to(image.device)])


class PendingSample(Sample):
    """A sample whose image is made later: what a target makes of it cannot be had."""

    pending: PendingImage

    @property
    def image(self) -> np.ndarray:  # type: ignore[override]
        """There is none yet.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"augmentation.device={self.pending.device}: a target is made of the augmented image, which workers then"
            " do not have: augmentation.device=null makes it there"
        )

    @image.setter
    def image(self, value: np.ndarray) -> None:
        """Keep nothing."""


class PendingImages:
    """The images of a batch, which moving them to the device of the trainer makes.

    Args:
        images: of one shape.
    """

    def __init__(self, images: Sequence[PendingImage]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str, **_: Any) -> Tensor:
        """The images (B, C, *P), made, on a device."""
        return torch.stack([image.make() for image in self.images]).to(device)

    def pin_memory(self, *_: Any) -> PendingImages:
        """Leave them as they are: each goes to its device once."""
        return self


def batch_of(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The batch of some training samples."""
    images = [sample["image"] for sample in samples]
    if not isinstance(images[0], PendingImage):
        return dict(default_collate(list(samples)))
    others = [{key: value for key, value in sample.items() if key != "image"} for sample in samples]
    return {**default_collate(others), "image": PendingImages(images)}


def _linear(image: Tensor, points: Tensor, axes: list[int]) -> Tensor:
    """Linear interpolation of an image (C, *S) along some axes at points (K, *P_K)."""
    image = torch.movedim(image, axes, list(range(-len(axes), 0)))
    before, shape = image.shape[: -len(axes)], image.shape[-len(axes) :]
    half = [max(length - 1, 1) / 2 for length in shape]
    grid = torch.stack([line / h - 1 for line, h in zip(points.flip(0), half[::-1], strict=True)], dim=-1)
    flat = image.reshape(1, -1, *shape)
    read = grid_sample(flat, grid[None], mode="bilinear", padding_mode="border", align_corners=True)
    return torch.movedim(read.reshape(*before, *points.shape[1:]), list(range(-len(axes), 0)), axes)


def _turned(image: Tensor, draw: SpatialDraw) -> Tensor:
    """An image (C, *P) after quarter turns and flips."""
    first, second = (1 + axis for axis in draw.turn.axes)
    image = torch.rot90(image, draw.turn.times, (first, second)) if draw.turn.times else image
    return image.flip([1 + axis for axis, flip in enumerate(draw.flips) if flip])
