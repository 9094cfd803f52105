"""One class of one case: its pixel counts, surfaces and surface distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from segbench.metrics.empty_masks import EmptyDistance, diagonal, resolve_empty_distance

BoolArray = NDArray[np.bool_]
Distances = NDArray[np.float32]
Coordinates = NDArray[np.float64]

_NEAR = 3 * (1 + 1e-9)
"""Radius of the neighbours that are looked up one by one, in units of the finest spacing. Sets speed only."""


class MaskPair:
    """A predicted and a reference mask. All that metrics share is computed at most once.

    The masks are cropped to their joint bounding box, so that what follows costs what the class occupies.

    Surface: the pixels of a mask that one erosion with face connectivity removes. Beyond the border of
    the image there is nothing, so that border pixels of a mask are surface, as in MONAI. An ignored pixel
    makes no surface: whether the object goes on there is not known.

    Args:
        prediction: bool (*S).
        reference: bool (*S).
        spacing: size of a pixel along each axis of S; distances are in its unit.
        ignored: bool (*S), the pixels that count for nothing, or None.
        empty_distance: the distance where one mask is empty.

    Attributes:
        scored: number of pixels that are not ignored.
        spacing: as given.
        empty_distance: as a number, in the unit of the spacing.
        diagonal: of the whole image, in the unit of the spacing.
        whole: prediction, reference and ignored pixels as given.

    Raises:
        ValueError: if shapes differ, or the spacing does not fit them.
    """

    def __init__(
        self,
        prediction: BoolArray,
        reference: BoolArray,
        spacing: Sequence[float],
        ignored: BoolArray | None = None,
        empty_distance: EmptyDistance = "diagonal",
    ) -> None:
        if prediction.shape != reference.shape:
            raise ValueError(f"shapes differ: prediction {prediction.shape}, reference {reference.shape}")
        self.spacing = tuple(float(step) for step in spacing)
        self.empty_distance = resolve_empty_distance(empty_distance, prediction.shape, self.spacing)
        self.diagonal = diagonal(prediction.shape, self.spacing)
        self.scored = prediction.size
        self.whole = prediction, reference, ignored
        if ignored is not None:
            self.scored -= int(np.count_nonzero(ignored))
            prediction, reference = prediction & ~ignored, reference & ~ignored
        box = _bounding_box(prediction | reference)
        margin = [max(1, reach) for reach in _reach(self.spacing)]
        self._prediction = _padded(prediction[box], margin)
        self._reference = _padded(reference[box], margin)
        self._ignored = None if ignored is None else _padded(ignored[box], margin)

    @property
    def masks(self) -> tuple[BoolArray, BoolArray]:
        """Prediction and reference, cropped, with empty pixels around; pixels that are ignored are in neither."""
        return self._prediction, self._reference

    @property
    def solids(self) -> tuple[BoolArray, BoolArray]:
        """The same with the ignored pixels in both: where a mask ends for sure."""
        if self._ignored is None:
            return self.masks
        return self._prediction | self._ignored, self._reference | self._ignored

    @cached_property
    def n_pred(self) -> int:
        """Pixels of the prediction."""
        return int(np.count_nonzero(self._prediction))

    @cached_property
    def n_ref(self) -> int:
        """Pixels of the reference."""
        return int(np.count_nonzero(self._reference))

    @cached_property
    def true_positives(self) -> int:
        """Pixels in both masks."""
        return int(np.count_nonzero(self._prediction & self._reference))

    @property
    def false_positives(self) -> int:
        """Pixels of the prediction alone."""
        return self.n_pred - self.true_positives

    @property
    def false_negatives(self) -> int:
        """Pixels of the reference alone."""
        return self.n_ref - self.true_positives

    @property
    def true_negatives(self) -> int:
        """Scored pixels in neither mask, over the whole image."""
        return self.scored - self.n_pred - self.false_negatives

    @cached_property
    def _surfaces(self) -> tuple[BoolArray, BoolArray]:
        return _surface(self._prediction, self._ignored), _surface(self._reference, self._ignored)

    @cached_property
    def n_surface(self) -> tuple[int, int]:
        """Surface pixels of the prediction and of the reference."""
        predicted, true = self._surfaces
        return int(np.count_nonzero(predicted)), int(np.count_nonzero(true))

    @cached_property
    def surface_distances(self) -> tuple[Distances, Distances]:
        """Directed distances, in the unit of the spacing; both surfaces must have pixels.

        Float32, so that a distance which equals a tolerance up to rounding also compares as equal.

        Returns:
            From each predicted surface pixel to the nearest reference one, and the other way round.
        """
        predicted, true = self._surfaces
        return _nearest(predicted, true, self.spacing), _nearest(true, predicted, self.spacing)


def _bounding_box(mask: BoolArray) -> tuple[slice, ...]:
    """The smallest box that holds a mask and all neighbours of its pixels; empty for an empty mask."""
    box = []
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(max(0, int(filled[0]) - 1), int(filled[-1]) + 2) if filled.size else slice(0, 0))
    return tuple(box)


def _padded(mask: BoolArray, margin: Sequence[int]) -> BoolArray:
    """A copy with `margin` empty pixels around, so that shifting its flat array wraps empty pixels only."""
    padded = np.zeros([size + 2 * width for size, width in zip(mask.shape, margin, strict=True)], dtype=bool)
    padded[tuple(slice(width, width + size) for size, width in zip(mask.shape, margin, strict=True))] = mask
    return padded


def _surface(mask: BoolArray, ignored: BoolArray | None) -> BoolArray:
    """The surface of a padded mask: what an erosion with face connectivity removes of it."""
    solid = mask if ignored is None else mask | ignored
    interior = solid.copy()
    flat, eroded = solid.reshape(-1), interior.reshape(-1)
    for shift in mask.strides:  # of a bool array: in pixels
        eroded[shift:] &= flat[:-shift]
        eroded[:-shift] &= flat[shift:]
    return mask & ~interior


def _reach(spacing: tuple[float, ...]) -> tuple[int, ...]:
    """Pixels along each axis that `_neighbours` spans."""
    return tuple(int(_NEAR * min(spacing) / step) for step in spacing)


@lru_cache(maxsize=64)
def _neighbours(spacing: tuple[float, ...]) -> list[tuple[float, tuple[int, ...]]]:
    """The length and the pixel offset of every neighbour within the radius `_NEAR`, the nearest first."""
    offsets = product(*(range(-reach, reach + 1) for reach in _reach(spacing)))
    neighbours = [(math.hypot(*np.multiply(offset, spacing)), offset) for offset in offsets]
    return sorted(neighbour for neighbour in neighbours if neighbour[0] <= _NEAR * min(spacing))


def _nearest(source: BoolArray, target: BoolArray, spacing: tuple[float, ...]) -> Distances:
    """The distance of each pixel of `source` to the nearest pixel of `target`, exact.

    Nearly all pixels of two surfaces that belong together lie close to each other: looking up the
    neighbours in the mask finds those several times faster than a tree, which is left with the far ones.
    Both cost what the surface has pixels, while a distance transform costs what the box has.
    """
    pixels = np.flatnonzero(source)
    distances = np.empty(len(pixels), dtype=np.float32)
    far = np.arange(len(pixels))
    is_target = target.reshape(-1)
    for length, offset in _neighbours(spacing):
        found = is_target[pixels + int(np.dot(offset, target.strides))]
        distances[far[found]] = length
        far, pixels = far[~found], pixels[~found]
    if len(far):
        # Sliding midpoints: pixels on a grid need no balancing, which is most of the time to build.
        points = _coordinates(np.flatnonzero(target), target.shape, spacing)
        tree = KDTree(points, leafsize=32, balanced_tree=False, compact_nodes=False)
        distances[far] = tree.query(_coordinates(pixels, target.shape, spacing))[0]
    return distances


def _coordinates(pixels: NDArray[np.intp], shape: Sequence[int], spacing: Sequence[float]) -> Coordinates:
    """(N, len(S)) positions, in the unit of the spacing, of flat pixel indices."""
    return np.multiply(np.stack(np.unravel_index(pixels, shape), axis=1), spacing, dtype=np.float64)
