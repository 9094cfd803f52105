"""The objects of a sample, numbered without gaps, and each in a box of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from segbench.data.case import IGNORE
from segbench.data.sample import Sample
from segbench.errors import UserError

Box = tuple[slice, ...]


def objects_of(sample: Sample, what: str) -> np.ndarray:
    """The objects of a sample: (*P) int32, 0 = background, 1, 2, .. without gaps.

    Args:
        sample: of a data set with objects.
        what: is made from them, for the message.

    Raises:
        UserError: where there are none.
    """
    if sample.instances is None:
        raise UserError(
            f"task: {what} are made from objects, and this data set has none; data=dsb2018 has, and data=folder with"
            " data.dataset.masks_are=instances or data.dataset.instances=FOLDER"
        )
    return without_gaps(sample.instances)


def without_gaps(instances: np.ndarray) -> np.ndarray:
    """The same objects, numbered 1, 2, .. in their order: (*P) int32."""
    last = int(instances.max(initial=0))
    if last > instances.size:  # a table of all numbers would be longer than the image
        return np.unique(np.append(instances, 0), return_inverse=True)[1][:-1].reshape(instances.shape).astype(np.int32)
    there = np.zeros(last + 1, bool)
    there[instances] = True
    there[0] = False
    return np.asarray(np.where(there, np.cumsum(there), 0).astype(np.int32)[instances])


def ignored(sample: Sample, values: np.ndarray) -> np.ndarray:
    """Values (C, *P) of float32 with NaN, which losses of values leave out, where the label is ignored."""
    unknown = sample.label == IGNORE
    if unknown.any():
        values[:, unknown] = np.nan
    return values


def in_pixels(spacing: Sequence[float], dims: int) -> np.ndarray:
    """The length of a pixel along each axis, (D,), in units of the finest."""
    return np.asarray(spacing, float) / min(spacing) if len(spacing) else np.ones(dims)


def boxes(instances: np.ndarray, margin: int = 0) -> Iterator[tuple[int, Box]]:
    """Each object's number and its box, grown by some pixels as far as the image goes.

    Args:
        instances: (*P), without gaps.
        margin: in pixels.
    """
    for number, box in enumerate(find_objects(instances), start=1):
        if box is not None:
            yield number, tuple(slice(max(along.start - margin, 0), along.stop + margin) for along in box)


@dataclass(frozen=True)
class Stack:
    """Objects of similar size side by side, so that what is done to one is done to all at once.

    Each is in the lower corner of a box of its own with at least one row of background around it. Its arrays are flat,
    so that a neighbour is a constant number of elements away: between two objects, and between two rows of one, there
    is background, which nothing that goes from pixel to pixel gets past.

    Attributes:
        shape: of a box, *B.
        inside: the objects' pixels, (N * B,) of 0 and 1.
        places: of these, the indices that are objects' pixels, object by object, (M,).
        pixels: the indices of the same in the flattened image, (M,).
        starts: the first of each object in `places`, (N,).
        extents: the size of each object's own box, without what surrounds it, (N, D).
    """

    shape: tuple[int, ...]
    inside: np.ndarray
    places: np.ndarray
    pixels: np.ndarray
    starts: np.ndarray
    extents: np.ndarray

    @property
    def strides(self) -> np.ndarray:
        """Elements from a pixel to the next one along each axis, (D,)."""
        return np.cumprod([1, *self.shape[:0:-1]])[::-1]


def stacks(instances: np.ndarray) -> Iterator[Stack]:
    """Objects in stacks by the power of two that their longest side reaches.

    Args:
        instances: (*P), without gaps.
    """
    by_size: dict[int, list[tuple[int, Box]]] = defaultdict(list)
    for number, box in boxes(instances):
        by_size[max(along.stop - along.start for along in box).bit_length()].append((number, box))
    for same in by_size.values():
        extents = np.array([[along.stop - along.start for along in box] for _, box in same])
        masks = np.zeros((len(same), *(extents.max(axis=0) + 2)), bool)
        for mask, (number, box), extent in zip(masks, same, extents, strict=True):
            mask[tuple(slice(1, length + 1) for length in extent)] = instances[box] == number
        places = np.flatnonzero(masks)
        which, *inner = np.unravel_index(places, masks.shape)
        corners = np.array([[along.start - 1 for along in box] for _, box in same])
        pixels = [place + corners[which, axis] for axis, place in enumerate(inner)]
        yield Stack(
            shape=masks.shape[1:],
            inside=masks.ravel().view(np.uint8),
            places=places,
            pixels=np.ravel_multi_index(pixels, instances.shape),
            starts=np.searchsorted(which, np.arange(len(same))),
            extents=extents,
        )
