"""Random turning, scaling, shifting and bending of a patch, in 2D and 3D.

Only drawn here: `segbench.data.patches` applies the transform together with the choice of the patch,
in one interpolation of the source image. So image and label are always transformed alike, nothing is
interpolated twice, and a rotated patch has no empty corners where the image goes on. The libraries
at hand transform a patch that is cut out already (MONAI) or know no volumes (albumentations).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from segbench.data.augmentations.elastic import Elastic, Range
from segbench.errors import UserError

RotationRule = Callable[[Sequence[int], bool], float]
"""A function of a patch's size, and of whether it is transformed slice by slice, that gives the largest angle."""


@dataclass(frozen=True)
class RotationByShape:
    """The largest angle by the shape of the patch, in degrees; nnU-Net v2: 30 in volumes, 180 and 15 in images.

    Attributes:
        volume: of volumes.
        slices: of images, and within the slices of flat volumes.
        elongated: of images whose longer edge is more than `elongation` times as long as the shorter one.
        elongation: as said.
    """

    volume: float
    slices: float
    elongated: float
    elongation: float = 1.5

    def __call__(self, patch_size: Sequence[int], slice_by_slice: bool) -> float:
        """The largest angle; see `RotationRule`."""
        if slice_by_slice:
            return self.slices
        if len(patch_size) > 2:
            return self.volume
        return self.elongated if max(patch_size) > self.elongation * min(patch_size) else self.slices


def flat_axes(patch_size: Sequence[int], threshold: float | None) -> list[int]:
    """The axes of a volume along which its longest edge is more than `threshold` times as long as their own."""
    if threshold is None or len(patch_size) < 3:
        return []
    return [axis for axis, length in enumerate(patch_size) if max(patch_size) > threshold * length]


@dataclass(frozen=True)
class Spatial:
    """The ranges of turning, scaling, shifting and bending a patch.

    Attributes:
        flip: probability of mirroring each axis: one number, or one for each axis: [0, 0.5] mirrors columns alone.
        quarter_turns: probability of turning by 0, 90, 180 or 270 degrees, each as likely: exact, without
            interpolation. In 3D in a plane of two axes of equal spacing.
        rotation: largest angle in degrees, in the plane of each pair of axes, or a rule that gives it for a patch.
            Angles are true to the spacing: a sphere stays a sphere where slices are thick.
        rotation_probability: of turning at all.
        scaling: range of the zoom, the same for all axes; 1.4 shows everything 1.4 times as large,
            0.7 shows more of the image.
        scaling_probability: of zooming at all.
        translation: largest shift along each axis, as a share of the patch; shifts are whole pixels.
        translation_probability: of shifting at all.
        elastic: bends the patch, see `segbench.data.augmentations.elastic`; None does not.
        elastic_probability: of bending at all.
        distortion: range of k in the lens distortion r -> r (1 + k r^2), r being 1 in the patch's corners
            (Chen et al. 2016, DCAN, whose strengths are not known): barrel above 0, pincushion below.
        distortion_probability: of distorting at all.
        thick_slices: an axis of a volume whose pixels are more than this times as long as the shortest
            ones neither turns nor bends: slices stay slices. None: all axes do.
        flat_patch: an axis of a volume along which the longest edge of the patch is more than this times as long as
            the axis's own neither turns, bends nor zooms: nnU-Net's augmentation slice by slice ("dummy 2D"), by 3.
            None: all axes do.

    Raises:
        ValueError: where the zoom could be 0 or negative, or the distortion would fold the image.
    """

    flip: float | Sequence[float] = 0.0
    rotation: float | RotationRule = 0.0
    rotation_probability: float = 1.0
    scaling: Range = (1.0, 1.0)
    scaling_probability: float = 1.0
    translation: float = 0.0
    translation_probability: float = 1.0
    elastic: Elastic | None = None
    elastic_probability: float = 1.0
    quarter_turns: float = 0.0
    distortion: Range = (0.0, 0.0)
    distortion_probability: float = 1.0
    thick_slices: float | None = None
    flat_patch: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scaling[0] <= self.scaling[1]:
            raise ValueError(
                f"scaling={list(self.scaling)}: must be the smallest and the largest zoom, both above 0: [0.7, 1.4]"
            )
        # r (1 + k r^2) grows up to the corners, r = 1, where 1 + 3 k > 0.
        if not -1 / 3 < self.distortion[0] <= self.distortion[1]:
            raise ValueError(
                f"distortion={list(self.distortion)}: must be the smallest and the largest, above -1/3: [-0.2, 0.2]"
            )
        if self.elastic is not None and not callable(self.elastic):
            raise ValueError(
                f"elastic={self.elastic}: must be null, or have a _target_ "
                "such as segbench.data.augmentations.elastic.ControlPoints"
            )

    def draw(self, patch_size: Sequence[int], spacing: Sequence[float], rng: np.random.Generator) -> SpatialDraw:
        """One random transform.

        Args:
            patch_size: (P_1, .., P_D) in pixels.
            spacing: size of a pixel along each of the D axes.
            rng: is drawn from.

        Raises:
            UserError: where `flip` names another number of axes.
        """
        dims = len(patch_size)
        if np.size(self.flip) not in (1, dims):
            raise UserError(
                f"augmentation.spatial.flip={self.flip}: must be one probability, or one for each of the {dims} axes"
            )
        flat = flat_axes(patch_size, self.flat_patch)
        fine = [axis for axis in self._fine_axes(spacing) if axis not in flat]
        rotation = np.eye(dims)
        largest = self.rotation(patch_size, bool(flat)) if callable(self.rotation) else self.rotation
        if largest and rng.random() < self.rotation_probability:
            for first, second in combinations(fine, 2):
                angle = math.radians(rng.uniform(-largest, largest))
                plane = np.eye(dims)
                plane[first, first] = plane[second, second] = math.cos(angle)
                plane[first, second], plane[second, first] = -math.sin(angle), math.sin(angle)
                rotation = rotation @ plane
        zoom = np.ones(dims)
        if set(self.scaling) != {1} and rng.random() < self.scaling_probability:
            zoom[:] = rng.uniform(*self.scaling)
            zoom[flat] = 1.0
        shift = np.zeros(dims)
        if self.translation and rng.random() < self.translation_probability:
            # Whole pixels: a patch that is only shifted needs no interpolation, which blurs.
            shift = np.rint(rng.uniform(-self.translation, self.translation, dims) * np.asarray(patch_size))
        turn = self._draw_turn(spacing, rng)
        bend = None
        if self.elastic is not None and rng.random() < self.elastic_probability:
            bend = self.elastic(turn.before(patch_size), rng)
            bend[[axis for axis in range(dims) if axis not in fine]] = 0.0
        distortion = 0.0
        if set(self.distortion) != {0} and rng.random() < self.distortion_probability:
            distortion = rng.uniform(*self.distortion)
        flips = tuple(bool(flip) for flip in rng.random(dims) < np.asarray(self.flip))
        physical = np.asarray(spacing, dtype=float)
        matrix = (rotation * physical) / physical[:, None] / zoom[:, None]
        return SpatialDraw(matrix, shift, flips, bend, distortion, turn)

    def _fine_axes(self, spacing: Sequence[float]) -> list[int]:
        """Axes that turn and bend."""
        if self.thick_slices is None or len(spacing) < 3:
            return list(range(len(spacing)))
        longest = self.thick_slices * min(spacing)
        return [axis for axis, length in enumerate(spacing) if length <= longest]

    def _draw_turn(self, spacing: Sequence[float], rng: np.random.Generator) -> QuarterTurns:
        if not self.quarter_turns or rng.random() >= self.quarter_turns:
            return QuarterTurns()
        pairs = [pair for pair in combinations(range(len(spacing)), 2) if math.isclose(*(spacing[i] for i in pair))]
        if not pairs:
            return QuarterTurns()
        return QuarterTurns(pairs[rng.integers(len(pairs))], int(rng.integers(4)))


@dataclass(frozen=True)
class QuarterTurns:
    """Turns by right angles.

    Attributes:
        axes: the plane, from the first axis towards the second, as in `numpy.rot90`.
        times: how often by 90 degrees, 0 to 3.
    """

    axes: tuple[int, int] = (0, 1)
    times: int = 0

    def before(self, patch_size: Sequence[int]) -> tuple[int, ...]:
        """The size of what becomes a patch of this size by being turned."""
        size = list(patch_size)
        if self.times % 2:
            first, second = self.axes
            size[first], size[second] = size[second], size[first]
        return tuple(size)

    def source(self, pixel: Sequence[int], patch_size: Sequence[int]) -> list[int]:
        """The place before the turn of a pixel of the turned patch, of this size."""
        first, second = self.axes
        result = list(pixel)
        for _ in range(self.times):
            result[first], result[second] = result[second], -1 - result[first]
        size = self.before(patch_size)
        return [place % length for place, length in zip(result, size, strict=True)]

    def __call__(self, array: np.ndarray, dims: int) -> np.ndarray:
        """Turn the last `dims` axes: a view of the array."""
        if not self.times:
            return array
        first, second = (axis - dims for axis in self.axes)
        return np.rot90(array, self.times, (first, second))


@dataclass(frozen=True)
class SpatialDraw:
    """One drawn transform: patch pixel p is read at centre + matrix (p - middle) (1 + k r^2) + shift + bend(p).

    Quarter turns and flips follow: before them, the patch has the size `turn.before(patch_size)`.

    Attributes:
        matrix: (D, D), rotation and zoom, in pixels.
        shift: (D,), in pixels.
        flips: axes to mirror afterwards.
        bend: (D, *P) displacement of each pixel before turns and flips, in pixels, or None.
        distortion: k; r is the distance from the middle, 1 in the corners.
        turn: done before the flips.
    """

    matrix: np.ndarray
    shift: np.ndarray
    flips: tuple[bool, ...]
    bend: np.ndarray | None = None
    distortion: float = 0.0
    turn: QuarterTurns = QuarterTurns()

    @property
    def on_grid(self) -> bool:
        """True if every patch pixel falls on a source pixel, so that no interpolation is needed."""
        still = np.array_equal(self.matrix, np.eye(len(self.shift))) and self.bend is None and not self.distortion
        return still and np.array_equal(self.shift, np.rint(self.shift))

    @property
    def lone_axes(self) -> list[int]:
        """Axes that are at most scaled and shifted: places along them depend on no other axis, and no other on them."""
        if self.bend is not None or self.distortion:
            return []
        mixed = (self.matrix != 0) & ~np.eye(len(self.shift), dtype=bool)
        return [axis for axis, others in enumerate(mixed | mixed.T) if not others.any()]

    def of_axes(self, axes: Sequence[int]) -> SpatialDraw:
        """The same transform along some axes, where it does not mix them with others; without turns and flips."""
        if len(axes) == len(self.shift):
            return self
        return SpatialDraw(self.matrix[np.ix_(axes, axes)], self.shift[axes], (False,) * len(axes))

    def pinned(self, patch_size: Sequence[int]) -> SpatialDraw:
        """The same transform, shifted so that it leaves the patch's central pixel, (P - 1) // 2, where it is."""
        centre = [(length - 1) // 2 for length in patch_size]
        turned = [
            length - 1 - at if flip else at for at, length, flip in zip(centre, patch_size, self.flips, strict=True)
        ]
        size = self.turn.before(patch_size)
        source = self.turn.source(turned, patch_size)
        moved = (np.subtract(patch_size, size) // 2) + np.subtract(size, 1) / 2
        there = moved + offset_of(self, source, size)
        return replace(self, shift=self.shift + centre - there)

    def turned(self, array: np.ndarray) -> np.ndarray:
        """An array (.., *P) after the quarter turns and flips: a view."""
        dims = len(self.flips)
        return np.flip(self.turn(array, dims), tuple(axis - dims for axis, flip in enumerate(self.flips) if flip))


def offset_of(draw: SpatialDraw, pixel: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """The place where one pixel is read, relative to the patch's centre: (D,), in pixels; arguments as of `offsets`."""
    middle = np.subtract(size, 1) / 2
    from_middle = pixel - middle
    radius = float(from_middle @ from_middle) / (float(middle @ middle) or 1.0)
    there = draw.matrix @ from_middle * (1 + draw.distortion * radius) + draw.shift
    return np.asarray(there if draw.bend is None else there + [field[tuple(pixel)] for field in draw.bend])


def line_offsets(draw: SpatialDraw, size: Sequence[int]) -> dict[int, np.ndarray]:
    """The places along each lone axis, relative to the patch's centre: (size of the axis,), in pixels."""
    return {
        axis: draw.matrix[axis, axis] * (np.arange(size[axis]) - (size[axis] - 1) / 2) + draw.shift[axis]
        for axis in draw.lone_axes
    }


def offsets(draw: SpatialDraw, size: Sequence[int]) -> np.ndarray:
    """The places where the patch pixels are read, relative to the patch's centre: (D, *size) float32, in pixels.

    Args:
        draw: the transform.
        size: of the patch before quarter turns.
    """
    lines = np.ix_(*(np.arange(length, dtype=np.float32) - (length - 1) / 2 for length in size))
    result = np.empty((len(size), *size), dtype=np.float32)
    matrix, shift = draw.matrix.astype(np.float32), draw.shift.astype(np.float32)
    # Shifts do not grow with the distance from the middle: with a distortion they are added after it.
    starts = np.zeros_like(shift) if draw.distortion else shift
    for out, row, start in zip(result, matrix, starts, strict=True):
        # One line after the other: all sums but the last are over fewer axes than the patch has.
        out[...] = sum((factor * line for factor, line in zip(row, lines, strict=True)), start=start)
    if draw.distortion:
        corner = sum(((length - 1) / 2) ** 2 for length in size) or 1.0
        result *= 1 + draw.distortion / np.float32(corner) * sum(line**2 for line in lines)
        result += shift.reshape(-1, *(1,) * len(size))
    if draw.bend is not None:
        result += draw.bend
    return result
