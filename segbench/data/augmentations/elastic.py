"""Random smooth displacement fields: how a patch is bent.

Each is called with the patch's size and a random generator, and returns the displacement of every pixel
along each axis, (D, *P) float32 in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segbench.data.resample import along_axes, cubic_matrix, gaussian_matrix, spline_matrix

Range = tuple[float, float]

Elastic = Callable[[Sequence[int], np.random.Generator], np.ndarray]

INTERPOLATIONS = ("bicubic", "spline")


@dataclass(frozen=True)
class ControlPoints:
    """Normal displacements of a coarse grid of points that spans the patch, enlarged smoothly.

    Ronneberger et al. 2015 (U-Net): 3 x 3 points, deviation 10 pixels, bicubic. Cicek et al. 2016
    (3D U-Net): a point every 32 voxels, deviation 4, B-splines.

    Attributes:
        deviation: standard deviation of each point's displacement along each axis, in pixels.
        points: along each axis, at least 2.
        interpolation: "bicubic" goes through the points' displacements; "spline" (cubic B-splines) comes
            near them, is smoother, and never exceeds them.

    Raises:
        ValueError: where there are fewer than 2 points, or the interpolation is not known.
    """

    deviation: float
    points: int = 3
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        if self.points < 2:
            raise ValueError(f"points={self.points}: must be at least 2")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation={self.interpolation}: must be one of {', '.join(INTERPOLATIONS)}")

    def __call__(self, patch_size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """One field."""
        dims = len(patch_size)
        control = rng.normal(0.0, self.deviation, (dims, *(self.points,) * dims)).astype(np.float32)
        return self.enlarge(control, patch_size)

    def enlarge(self, control: np.ndarray, patch_size: Sequence[int]) -> np.ndarray:
        """The field (D, *P) of given displacements (D, *points)."""
        if self.interpolation == "spline":
            return along_axes(control, [spline_matrix(self.points, size) for size in patch_size])
        return along_axes(control, [cubic_matrix(self.points, size, True) for size in patch_size])


@dataclass(frozen=True)
class SmoothedNoise:
    """Noise for every pixel, smoothed: alpha * gaussian(U(-1, 1), sigma).

    Simard et al. 2003; nnU-Net of April 2019 draws alpha from 0 to 200 in 2D, 0 to 900 in 3D, and sigma
    from 9 to 13.

    Attributes:
        alpha: range of the strength, in pixels; the field's deviation is about 0.16 alpha / sigma pixels
            in 2D.
        sigma: range of the smoothing's width, in pixels.

    Raises:
        ValueError: where sigma could be 0 or negative.
    """

    alpha: Range
    sigma: Range

    def __post_init__(self) -> None:
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma={list(self.sigma)}: must be the smallest and the largest, both above 0: [9, 13]")

    def __call__(self, patch_size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """One field, the same alpha and sigma along all axes."""
        alpha, sigma = rng.uniform(*self.alpha), rng.uniform(*self.sigma)
        noise = rng.random((len(patch_size), *patch_size), dtype=np.float32)
        noise *= 2
        noise -= 1
        smooth = along_axes(noise, [gaussian_matrix(size, sigma) for size in patch_size])
        return np.asarray(smooth * np.float32(alpha))
