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
from functools import lru_cache
from itertools import combinations

import numpy as np
from scipy.interpolate import BSpline

Range = tuple[float, float]


@dataclass(frozen=True)
class Spatial:
    """How patches may be turned, scaled, shifted and bent.

    Attributes:
        flip: probability of mirroring each axis.
        rotation: largest angle in degrees, in the plane of each pair of axes. Angles are true to the
            spacing: a sphere stays a sphere where slices are thick.
        rotation_probability: of turning at all.
        scaling: range of the zoom, the same for all axes; 1.4 shows everything 1.4 times as large,
            0.7 shows more of the image.
        scaling_probability: of zooming at all.
        translation: largest shift along each axis, as a share of the patch; shifts are whole pixels.
        translation_probability: of shifting at all.
        elastic: standard deviation of the displacement of the control points, in pixels
            (Ronneberger et al. 2015: 10).
        elastic_points: control points along each axis, at least 2 (Ronneberger et al. 2015: 3).
        elastic_probability: of bending at all.

    Raises:
        ValueError: where the zoom could be 0 or negative, or there are fewer than 2 control points.
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

    def __post_init__(self) -> None:
        if not 0 < self.scaling[0] <= self.scaling[1]:
            raise ValueError(
                f"scaling={list(self.scaling)}: must be the smallest and the largest zoom, both above 0: [0.7, 1.4]"
            )
        if self.elastic_points < 2:
            raise ValueError(f"elastic_points={self.elastic_points}: must be at least 2")

    def draw(self, patch_size: Sequence[int], spacing: Sequence[float], rng: np.random.Generator) -> SpatialDraw:
        """One random transform.

        Args:
            patch_size: (P_1, .., P_D) in pixels.
            spacing: size of a pixel along each of the D axes.
            rng: is drawn from.
        """
        dims = len(patch_size)
        rotation = np.eye(dims)
        if self.rotation and rng.random() < self.rotation_probability:
            for first, second in combinations(range(dims), 2):
                angle = math.radians(rng.uniform(-self.rotation, self.rotation))
                plane = np.eye(dims)
                plane[first, first] = plane[second, second] = math.cos(angle)
                plane[first, second], plane[second, first] = -math.sin(angle), math.sin(angle)
                rotation = rotation @ plane
        zoom = 1.0
        if set(self.scaling) != {1} and rng.random() < self.scaling_probability:
            zoom = rng.uniform(*self.scaling)
        shift = np.zeros(dims)
        if self.translation and rng.random() < self.translation_probability:
            # Whole pixels: a patch that is only shifted needs no interpolation, which blurs.
            shift = np.rint(rng.uniform(-self.translation, self.translation, dims) * np.asarray(patch_size))
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
        still = np.array_equal(self.matrix, np.eye(len(self.shift)))
        return still and self.control is None and np.array_equal(self.shift, np.rint(self.shift))


def offsets(draw: SpatialDraw, patch_size: Sequence[int]) -> np.ndarray:
    """Where each patch pixel is read, relative to the patch's centre: (D, *P) float32, in pixels."""
    lines = np.ix_(*(np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in patch_size))
    result = np.empty((len(patch_size), *patch_size), dtype=np.float32)
    matrix, shift = draw.matrix.astype(np.float32), draw.shift.astype(np.float32)
    for out, row, start in zip(result, matrix, shift, strict=True):
        # One line after the other: all sums but the last are over fewer axes than the patch has.
        out[...] = sum((factor * line for factor, line in zip(row, lines, strict=True)), start=start)
    if draw.control is not None:
        result += bend(draw.control, patch_size)
    return result


def bend(control: np.ndarray, patch_size: Sequence[int]) -> np.ndarray:
    """Smooth displacements (D, *P) float32 from those of the control points, by cubic B-splines.

    The control points span the patch; B-splines approximate them, so the field has two continuous
    derivatives (fewer with less than four points) and stays within the range of the control points.
    """
    field = control.astype(np.float32)
    for axis, size in enumerate(patch_size, start=1):
        weights = _spline_weights(control.shape[axis], size)
        field = np.moveaxis(np.moveaxis(field, axis, -1) @ weights.T, -1, axis)
    return field


@lru_cache(maxsize=16)
def _spline_weights(points: int, size: int) -> np.ndarray:
    """(size, points) weights of the control points at each pixel; every row sums to one."""
    degree = min(3, points - 1)
    inner = np.linspace(0.0, 1.0, points - degree + 1)
    knots = np.concatenate([np.zeros(degree), inner, np.ones(degree)])
    positions = (np.arange(size) + 0.5) / size
    return np.asarray(BSpline.design_matrix(positions, knots, degree).toarray(), dtype=np.float32)
