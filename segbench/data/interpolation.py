"""An array read between its pixels: linearly or by nearest pixel, at places that a spatial transform names.

Along axes that are only scaled and shifted the places are lines, and interpolation is a small matrix for each; only
the axes that turn or bend together are read point by point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import grid_sample

from segbench.data.resample import along_axes, linear_matrix

_CHUNK = 2**14
"""Points that are read at a time in volumes, few enough for the cache. Sets speed only."""


@dataclass(frozen=True)
class Places:
    """The places of a patch's pixels in an array, all within its outermost pixels.

    Attributes:
        lines: by axis, its places (P_a,), where they do not depend on where the pixel is along the other axes.
        points: (K, *P_K) float32, places along the other K axes, which depend on these K; None where there are none.
    """

    lines: Mapping[int, np.ndarray]
    points: np.ndarray | None

    def linear(self, image: np.ndarray) -> np.ndarray:
        """The pixels (C, *P) of an image (C, *S), interpolated linearly: float32."""
        for axis, line in self.lines.items():
            length = image.shape[1 + axis]
            if not _is_whole(line, length):
                image = along_axes(np.moveaxis(image, 1 + axis, -1), [linear_matrix(line, length)])
                image = np.moveaxis(image, -1, 1 + axis)
        if self.points is None:
            return image
        axes = self._point_axes(image.ndim - 1)
        image = np.moveaxis(image, axes, range(-len(axes), 0))
        before, size = image.shape[: -len(axes)], self.points.shape[1:]
        flat = np.ascontiguousarray(image).reshape(-1, *image.shape[-len(axes) :])
        return np.moveaxis(_linear(flat, self.points).reshape(*before, *size), range(-len(axes), 0), axes)

    def nearest(self, array: np.ndarray) -> np.ndarray:
        """The pixels (.., *P) of an array (.., *S), by nearest pixel."""
        dims = len(self.lines) + (0 if self.points is None else len(self.points))
        for axis, line in self.lines.items():
            if not _is_whole(line, array.shape[axis - dims]):
                array = array.take(np.rint(line).astype(np.intp), axis - dims)
        if self.points is None:
            return array
        axes = [axis - dims - 1 for axis in self._point_axes(dims)]
        array = np.moveaxis(array, axes, range(-len(axes), 0))
        before, shape = array.shape[: -len(axes)], array.shape[-len(axes) :]
        array = array.reshape(*before, -1)[..., _nearest_index(self.points, shape)]
        return np.moveaxis(array, range(-len(axes), 0), axes)

    def _point_axes(self, dims: int) -> list[int]:
        """The axes of an array with one axis before those of space that are read point by point."""
        return [1 + axis for axis in range(dims) if axis not in self.lines]


def _is_whole(line: np.ndarray, length: int) -> bool:
    """True if places along an axis are its pixels."""
    return len(line) == length and np.array_equal(line, np.arange(length))


def _linear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Linear interpolation of an image (C, *S) at points (D, *P) inside it: (C, *P) float32."""
    if len(points) < 3:  # PyTorch has a fast one for two axes alone
        return _linear_by_grid(image, points)
    shape = image.shape[1:]
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    channels, points_flat = image.reshape(len(image), -1), points.reshape(len(points), -1)
    result = np.empty((len(image), points_flat.shape[1]), dtype=np.float32)
    for start in range(0, result.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        low = points_flat[:, part].astype(np.int32)
        weights = points_flat[:, part] - low.astype(np.float32)
        first = np.zeros(low.shape[1], dtype=np.intp)
        for line, stride in zip(low, strides, strict=True):
            first += line * stride
        for channel, out in zip(channels, result, strict=True):
            out[part] = _between(channel, first, weights, strides)
    return result.reshape(len(image), *points.shape[1:])


def _between(flat: np.ndarray, first: np.ndarray, weights: np.ndarray, strides: Sequence[int]) -> np.ndarray:
    """Interpolation between pixels `first` (N,) of a flattened array and their next ones along each of the axes.

    Beyond the last pixel the next one counts nothing: any other is taken for it.
    """
    if not strides:
        return flat.take(first, mode="clip")
    near = _between(flat, first, weights[1:], strides[1:])
    far = _between(flat, first + strides[0], weights[1:], strides[1:])
    far -= near
    far *= weights[0]
    far += near
    return far


def _linear_by_grid(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    # grid_sample wants the last axis first, the coordinates last, and the outermost pixels at -1 and 1.
    half = [max(length - 1, 1) / 2 for length in image.shape[1:]]
    grid = np.stack([line / h - 1 for line, h in zip(points[::-1], half[::-1], strict=True)], axis=-1)
    result = grid_sample(
        torch.from_numpy(image)[None],
        torch.from_numpy(grid)[None],
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return np.asarray(result[0].numpy())


def _nearest_index(points: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Index of the nearest pixel to each point (D, *P) in an array of this shape, flattened: (*P)."""
    flat: np.ndarray = np.zeros((), dtype=np.intp)
    for line, length in zip(np.rint(points).astype(np.intp), shape, strict=True):
        flat = flat * length + line
    return flat
