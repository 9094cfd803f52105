"""Slices of volumes as the images of a 2D network, alone or with their neighbours as further channels (2.5D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from segbench.data.arrays import LazyArrays
from segbench.data.store import CaseStore, StoredCase
from segbench.errors import UserError

Direction = Literal["axial", "coronal", "sagittal"]

_SIDES: dict[Direction, str] = {"axial": "SI", "coronal": "AP", "sagittal": "RL"}
"""The sides of the patient that slices follow each other to."""


@dataclass(frozen=True)
class Slices:
    """The way in which volumes are cut into slices.

    Attributes:
        axis: along which slices follow each other.
        neighbours: slices on each side that are channels, too; beyond the volume its last slice counts.
    """

    axis: int
    neighbours: int = 0

    @property
    def width(self) -> int:
        """Slices that are seen at once."""
        return 2 * self.neighbours + 1

    def volume_patch(self, patch_size: Sequence[int]) -> tuple[int, ...]:
        """The patch of a volume that a patch (H, W) of a slice is."""
        size = [int(length) for length in patch_size]
        size.insert(self.axis, 1)
        return tuple(size)

    def cut(self, case: StoredCase, start: np.ndarray) -> tuple[SliceCase, np.ndarray]:
        """The slice of a place (3,) in a volume, and the place (2,) in the slice."""
        index = int(np.clip(start[self.axis], 0, case.image.shape[1 + self.axis] - 1))
        return slice_of(case, self, index), np.delete(start, self.axis)


@dataclass(frozen=True)
class SliceCase(StoredCase):
    """A slice of a case; its arrays are read when they are asked for.

    Attributes:
        volume: the case.
        slices: says along which axis it is cut.
        index: of the slice.
    """

    volume: StoredCase
    slices: Slices
    index: int

    @cached_property
    def image(self) -> np.ndarray:
        """(C * width, H, W): of each channel the slices in their order."""
        last = self.volume.image.shape[1 + self.slices.axis] - 1
        reach = self.slices.neighbours
        wanted = np.clip(np.arange(self.index - reach, self.index + reach + 1), 0, last)
        part = _rows(self.volume.image, self.slices.axis, int(wanted[0]), int(wanted[-1]) + 1)
        seen = np.moveaxis(part, 1 + self.slices.axis, 1)[:, wanted - wanted[0]]
        return seen.reshape(-1, *seen.shape[2:])

    @cached_property
    def label(self) -> np.ndarray:
        """(H, W) uint8."""
        return self._plane(self.volume.label)

    @cached_property
    def instances(self) -> np.ndarray | None:
        """(H, W) int32, or None."""
        return None if self.volume.instances is None else self._plane(self.volume.instances)

    def _plane(self, array: np.ndarray) -> np.ndarray:
        axis = array.ndim - 3 + self.slices.axis
        return np.asarray(_rows(array, self.slices.axis, self.index, self.index + 1).take(0, axis))


def slice_of(case: StoredCase, slices: Slices, index: int) -> SliceCase:
    """A slice of a case, whose intensities are those of the volume: all slices are normalised alike."""
    meta = case.meta
    spacing = tuple(edge for axis, edge in enumerate(meta.spacing) if axis != slices.axis)
    size = tuple(length for axis, length in enumerate(meta.shape[1:]) if axis != slices.axis)
    intensities = tuple(channel for channel in meta.intensities for _ in range(slices.width))
    facts = replace(meta, spacing=spacing, shape=(meta.shape[0] * slices.width, *size), intensities=intensities)
    cut = SliceCase(facts, case.read, {}, case, slices, index)
    arrays = LazyArrays(case.arrays, lambda name: cut._plane(case.arrays[name]))
    return replace(cut, arrays=arrays)


def slice_axis(direction: Direction, store: CaseStore) -> int:
    """The axis along which slices of a direction follow each other, in all cases of a store.

    Where files do not say where their axes run to, axial slices follow each other along the first axis, coronal ones
    along the second, sagittal ones along the third.

    Raises:
        UserError: where cases differ.
    """
    found: dict[int, str] = {}
    for case in store.ids:
        found.setdefault(axis_of(direction, store.meta(case).directions), case)
    if len(found) > 1:
        (first, a), (second, b) = list(found.items())[:2]
        raise UserError(
            f"data.slices={direction}: these slices follow each other along axis {first} in the case {a}, along axis"
            f" {second} in {b}: turn the volumes alike, or choose another direction"
        )
    return next(iter(found))


def axis_of(direction: Direction, directions: str) -> int:
    """The same of one volume, by the sides that its axes run to, as `Case.directions` has them."""
    if not directions:
        return list(_SIDES).index(direction)
    return next(axis for axis, side in enumerate(directions) if side in _SIDES[direction])


def _rows(array: np.ndarray, axis: int, first: int, last: int) -> np.ndarray:
    """Some slices of an array (.., D, H, W)."""
    place: list[slice] = [slice(None)] * array.ndim
    place[array.ndim - 3 + axis] = slice(first, last)
    return np.asarray(array[tuple(place)])
