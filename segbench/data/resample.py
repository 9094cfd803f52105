"""Separable interpolation and smoothing: one matrix per axis.

A matrix product costs a fraction of what general interpolation does at the sizes of patches, and is the
same sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch.nn.functional import interpolate


def along_axes(array: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Apply a matrix (new, old) to each of the last axes of an array (C, *old): (C, *new)."""
    for axis, matrix in enumerate(matrices, start=array.ndim - len(matrices)):
        array = np.moveaxis(np.moveaxis(array, axis, -1) @ matrix.T, -1, axis)
    return array


@lru_cache(maxsize=64)
def spline_matrix(points: int, size: int) -> np.ndarray:
    """(size, points) weights of cubic B-splines: a curve near the points, with two continuous derivatives.

    The points span the axis. With 3 points the curve is quadratic, with 2 it is a straight line.
    """
    degree = min(3, points - 1)
    inner = np.linspace(0.0, 1.0, points - degree + 1)
    knots = np.concatenate([np.zeros(degree), inner, np.ones(degree)])
    positions = (np.arange(size) + 0.5) / size
    return np.asarray(BSpline.design_matrix(positions, knots, degree).toarray(), dtype=np.float32)


@lru_cache(maxsize=64)
def cubic_matrix(points: int, size: int, span: bool) -> np.ndarray:
    """(size, points) weights of cubic convolution, by which images are enlarged "bicubically": through the points.

    Args:
        points: given values.
        size: wanted values.
        span: the first and last points lie on the first and last pixels; otherwise each point is a
            pixel that stands for size / points of the wanted ones.
    """
    each = torch.eye(points)[None, None]
    return np.asarray(interpolate(each, (size, points), mode="bicubic", align_corners=span)[0, 0].numpy())


def linear_matrix(places: np.ndarray, length: int) -> np.ndarray:
    """(P, length) weights of linear interpolation at places (P,) between the first and last of an axis's pixels."""
    low = np.clip(places.astype(np.intp), 0, max(length - 2, 0))
    weights = np.zeros((len(places), length), dtype=np.float32)
    rows = np.arange(len(places))
    weights[rows, low] = 1 - (places - low)
    if length > 1:
        weights[rows, low + 1] = places - low
    return weights


def gaussian_matrix(size: int, sigma: float) -> np.ndarray:
    """(size, size) Gaussian smoothing with standard deviation sigma in pixels, zero beyond the ends.

    Cut off at 4 sigma, as `scipy.ndimage.gaussian_filter` does.
    """
    radius = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-6)) ** 2)
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    weights = np.where(distance <= radius, kernel[np.minimum(distance, radius) + radius], 0.0)
    return np.asarray(weights / kernel.sum(), dtype=np.float32)
