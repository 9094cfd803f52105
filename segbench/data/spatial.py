"""Random turning, scaling, shifting and bending of a patch, in 2D and 3D.

Only drawn here: `segbench.data.patches` applies the transform together with the choice of the patch,
in one interpolation of the source image. So image and label are always transformed alike, nothing is
interpolated twice, and a rotated patch has no empty corners where the image goes on. The libraries
at hand transform a patch that is cut out already (MONAI) or know no volumes (albumentations).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

Range = tuple[float, float]


@dataclass(frozen=True)
class Spatial:
    """How patches may be turned, scaled, shifted and bent.

    Attributes:
        flip: probability of mirroring each axis.
        rotation: largest angle in degrees, in the plane of each pair of axes; drawn with
            probability `rotation_probability`.
        scaling: range of the zoom, the same for all axes.
        translation: largest shift, as a share of the patch.
        elastic: standard deviation of the displacement of the control points, in pixels
            (Ronneberger et al. 2015: 10).
        elastic_points: control points along each axis (Ronneberger et al. 2015: 3).
    """

    flip: float = 0.0
    rotation: float = 0.0
    rotation_probability: float = 1.0
    scaling: Range = (1.0, 1.0)
    scaling_probability: float = 1.0
    translation: float = 0.0
    translation_probability: float = 1.0
    elastic: float = 0.0
    elastic_points: int = 3
    elastic_probability: float = 1.0

    def draw(
        self, patch_size: Sequence[int], spacing: Sequence[float], rng: np.random.Generator
    ) -> SpatialDraw:
        """One random transform for a patch of this size, rotated in units of the spacing."""
        dims = len(patch_size)
        rotation = np.eye(dims)
        if self.rotation and rng.random() < self.rotation_probability:
            for first in range(dims):
                for second in range(first + 1, dims):
                    angle = math.radians(rng.uniform(-self.rotation, self.rotation))
                    plane = np.eye(dims)
                    plane[first, first] = plane[second, second] = math.cos(angle)
                    plane[first, second], plane[second, first] = -math.sin(angle), math.sin(angle)
                    rotation = rotation @ plane
        zoom = 1.0
        if tuple(self.scaling) != (1.0, 1.0) and rng.random() < self.scaling_probability:
            zoom = rng.uniform(*self.scaling)
        shift = np.zeros(dims)
        if self.translation and rng.random() < self.translation_probability:
            shift = rng.uniform(-self.translation, self.translation, dims) * np.asarray(patch_size)
        control = None
        if self.elastic and rng.random() < self.elastic_probability:
            control = rng.normal(0.0, self.elastic, (dims, *(self.elastic_points,) * dims))
        flips = rng.random(dims) < self.flip
        physical = np.asarray(spacing, dtype=float)
        matrix = (rotation * physical) / physical[:, None] / zoom
        return SpatialDraw(matrix, shift, tuple(bool(flip) for flip in flips), control)


@dataclass(frozen=True)
class SpatialDraw:
    """One drawn transform: patch pixel p is read at centre + matrix (p - middle) + shift + bend(p).

    Attributes:
        matrix: (D, D), rotation and zoom, in pixels.
        shift: (D,), in pixels.
        flips: axes to mirror afterwards.
        control: (D, *points) displacements of the control points in pixels, or None.
    """

    matrix: np.ndarray
    shift: np.ndarray
    flips: tuple[bool, ...]
    control: np.ndarray | None

    @property
    def on_grid(self) -> bool:
        """Whether every patch pixel falls on a source pixel, so that no interpolation is needed."""
        return self.control is None and not self.shift.any() and np.array_equal(self.matrix, np.eye(len(self.shift)))


def offsets(draw: SpatialDraw, patch_size: Sequence[int]) -> np.ndarray:
    """Where each patch pixel is read, relative to the patch's centre: (D, *P) float32, in pixels."""
    axes = [np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in patch_size]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    result = np.tensordot(draw.matrix.astype(np.float32), grid, axes=1)
    result += draw.shift.astype(np.float32).reshape(-1, *(1,) * len(patch_size))
    if draw.control is not None:
        result += bend(draw.control, patch_size)
    return np.asarray(result, dtype=np.float32)


def bend(control: np.ndarray, patch_size: Sequence[int]) -> np.ndarray:
    """Smooth displacements (D, *P) from those of the control points, by cubic B-splines.

    The control points span the patch; B-splines approximate them, so the field has two continuous
    derivatives and is never steeper than the control points.
    """
    field_ = control.astype(np.float32)
    for axis, size in enumerate(patch_size, start=1):
        weights = _spline_weights(control.shape[axis], size)
        field_ = np.moveaxis(np.tensordot(weights, field_, axes=(1, axis)), 0, axis)
    return field_


def _spline_weights(points: int, size: int) -> np.ndarray:
    """(size, points) weights of the control points at each pixel; every row sums to one."""
    degree = min(3, points - 1)
    inner = np.linspace(0.0, 1.0, points - degree + 1)
    knots = np.concatenate([np.zeros(degree), inner, np.ones(degree)])
    positions = (np.arange(size) + 0.5) / size
    return np.asarray(BSpline.design_matrix(positions, knots, degree).toarray(), dtype=np.float32)
