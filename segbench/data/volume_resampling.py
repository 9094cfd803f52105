"""Images and probabilities of whole cases at another shape, by nnU-Net's rules.

Pixels are areas: both shapes span the same extent, and beyond its border an image goes on as it ends. Images are
interpolated by cubic splines, probabilities linearly. Where slices are thick, each is resampled alone, and along the
thick axis the nearest slice is taken (Isensee et al., Nature Methods 2021). Labels: `segbench.data.label_resampling`.

Interpolation on a grid is a matrix for each axis, whose weights fade within a dozen pixels: products with small
blocks of it cost a fraction of what interpolating each pixel does, and are the same sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

THICK = 3.0
"""Thickness of a thick slice: more than this times the shortest edge of a pixel. nnU-Net's threshold."""

Floats = NDArray[np.float32]

_ROWS = 64
"""New pixels for which a block of weights stands. Sets speed only, as `_SLAB` does."""

_SLAB = 2**26
"""Bytes of a slab."""


def resampled_shape(shape: Sequence[int], spacing: Sequence[float], new_spacing: Sequence[float]) -> tuple[int, ...]:
    """The shape of the same extent at another spacing, each axis rounded to whole pixels, at least 1."""
    return tuple(max(1, round(old / new * size)) for size, old, new in zip(shape, spacing, new_spacing, strict=True))


def thick_axis(spacing: Sequence[float], new_spacing: Sequence[float], threshold: float = THICK) -> int | None:
    """The axis along which slices are thick, before or else after resampling; None where there is none.

    Two axes of equally long edges are no stack of slices.

    Args:
        spacing: edges of a pixel.
        new_spacing: wanted edges of a pixel.
        threshold: slices are thick that are more than this times as thick as the shortest edge is long.
    """
    for edges in (spacing, new_spacing):
        if max(edges) / min(edges) > threshold:
            longest = [axis for axis, edge in enumerate(edges) if edge == max(edges)]
            return longest[0] if len(longest) == 1 else None
    return None


def resample_image(image: np.ndarray, shape: Sequence[int], separate_axis: int | None = None) -> Floats:
    """An image (C, *S) at another shape, by cubic splines: (C, *shape) float32.

    No value leaves the range of its channel or, with a separate axis, of its slice.

    Args:
        image: of numbers, finite.
        shape: (D,) pixels.
        separate_axis: along which the nearest slices are taken, each resampled alone; None: all are interpolated.
    """
    if image.shape[1:] == tuple(shape):
        return image.astype(np.float32)
    result = np.empty((len(image), *shape), dtype=np.float32)
    first = 1 + (separate_axis or 0)
    for channel in range(len(image)):
        one = slice(channel, channel + 1)
        by_slab = np.moveaxis(result[one], first, 1)
        for rows, slab in _slabs(image[one], shape, separate_axis, order=3):
            by_slab[:, rows] = slab
        if separate_axis is None:
            np.clip(result[one], image[one].min(), image[one].max(), out=result[one])
    return result


def resample_probabilities(
    probabilities: np.ndarray, shape: Sequence[int], separate_axis: int | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """Probabilities or logits of classes (K, *S) at another shape, linearly: (K, *shape).

    Args:
        probabilities: of floats.
        shape: (D,) pixels.
        separate_axis: as of `resample_image`.
        out: (K, *shape), such as an array on disk or of float16; None: a new one of float32.
    """
    if out is None:
        out = np.empty((len(probabilities), *shape), dtype=np.float32)
    axis = separate_axis or 0
    by_slab = np.moveaxis(out, 1 + axis, 1)
    for rows, slab in probability_slabs(probabilities, shape, separate_axis):
        by_slab[:, rows] = np.moveaxis(slab, 1 + axis, 1)
    return out


def probability_slabs(
    probabilities: np.ndarray, shape: Sequence[int], separate_axis: int | None = None
) -> Iterator[tuple[slice, Floats]]:
    """Probabilities of classes at another shape, slab by slab: they never exist in one piece.

    Args:
        probabilities: (K, *S) of floats.
        shape: (D,) pixels.
        separate_axis: as of `resample_image`. Slabs are cut along it; None: along the first axis.

    Yields:
        The slab's place along that axis, and its probabilities (K, *slab), axes in their order.
    """
    axis = separate_axis or 0
    for rows, slab in _slabs(probabilities, shape, separate_axis, order=1):
        yield rows, np.moveaxis(slab, 1, 1 + axis)


def nearest_pixels(old: int, new: int) -> NDArray[np.intp]:
    """Indices (new,) of the pixels of an axis whose areas hold the centres of the new ones."""
    position = (np.arange(new) + 0.5) * (old / new) - 0.5
    return np.asarray(np.clip(np.floor(position + 0.5), 0, old - 1), dtype=np.intp)


class _Block(NamedTuple):
    """Weights (new, old) of some of an axis's new pixels, and the pixels that they are not 0 for."""

    new: slice
    old: slice
    weights: Floats


@lru_cache(maxsize=64)
def _blocks(old: int, new: int, order: Literal[1, 3], step: int = _ROWS) -> list[_Block]:
    """The matrix of spline interpolation along an axis, in blocks of `step` rows: scipy's of each pixel alone."""
    pixels = np.eye(old)
    weights = pixels
    if old != new:
        zoomed = [ndimage.zoom(pixel, new / old, order=order, mode="nearest", grid_mode=True) for pixel in pixels]
        weights = np.stack(zoomed, axis=1)
    blocks = []
    for start in range(0, new, step):
        rows = weights[start : start + step]
        reached = np.flatnonzero(np.abs(rows).max(axis=0) > 1e-9)
        reach = slice(int(reached[0]), int(reached[-1]) + 1)
        blocks.append(_Block(slice(start, start + len(rows)), reach, rows[:, reach].astype(np.float32)))
    return blocks


def _slabs(
    array: np.ndarray, shape: Sequence[int], separate_axis: int | None, order: Literal[1, 3]
) -> Iterator[tuple[slice, Floats]]:
    """An array (C, *S) at another shape, in slabs (C, rows, *other axes) along the separate or the first axis."""
    axis = separate_axis or 0
    array, lengths = np.moveaxis(array, 1 + axis, 1), list(shape)
    new, old = lengths.pop(axis), array.shape[1]
    row_bytes = 4 * len(array) * max(math.prod(lengths), math.prod(array.shape[2:]))
    step = max(1, min(_ROWS, _SLAB // row_bytes))
    if separate_axis is None:
        for rows, reach, weights in _blocks(old, new, order, step):
            yield rows, _within(_weighted(weights, array[:, reach]), lengths, order)
        return
    nearest = nearest_pixels(old, new)
    for start in range(0, new, step):
        sources, repeats = np.unique(nearest[start : start + step], return_counts=True)
        slices = array[:, sources].astype(np.float32, copy=False)
        within = _within(slices, lengths, order)
        if order > 1:
            axes = tuple(range(2, array.ndim))
            np.clip(within, slices.min(axes, keepdims=True), slices.max(axes, keepdims=True), out=within)
        yield slice(start, min(start + step, new)), within.repeat(repeats, axis=1)


def _weighted(weights: Floats, array: np.ndarray) -> Floats:
    """Weighted sums (C, new, ..) of the rows of an array (C, old, ..)."""
    result = np.empty((len(array), len(weights), *array.shape[2:]), dtype=np.float32)
    for channel, out in zip(array, result, strict=True):
        rows = channel.astype(np.float32, copy=False).reshape(len(channel), -1)
        np.matmul(weights, rows, out=out.reshape(len(weights), -1))
    return result


def _within(rows: Floats, lengths: Sequence[int], order: Literal[1, 3]) -> Floats:
    """Rows (C, rows, *S) with all axes but the first two resampled: (C, rows, *lengths)."""
    if rows.shape[2:] == tuple(lengths):
        return rows
    result = np.empty((*rows.shape[:2], *lengths), dtype=np.float32)
    for channel, outs in zip(rows, result, strict=True):
        for row, out in zip(channel, outs, strict=True):
            for axis, length in enumerate(lengths):
                row = _along(row, axis, length, order)
            out[...] = row
    return result


def _along(array: Floats, axis: int, length: int, order: Literal[1, 3]) -> Floats:
    """A small array with one axis resampled to a length."""
    if array.shape[axis] == length:
        return array
    array = np.moveaxis(array, axis, 0)
    result = np.empty((length, *array.shape[1:]), dtype=np.float32)
    for new, old, weights in _blocks(len(array), length, order):
        result[new] = np.tensordot(weights, array[old], axes=1)
    return np.moveaxis(result, 0, axis)
