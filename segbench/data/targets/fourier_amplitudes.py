"""Maps of the shape of what a mask shows: amplitudes of the Fourier series of its contours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segbench.data.case import IGNORE
from segbench.data.sample import Sample
from segbench.errors import UserError

SAME = 1e-6
"""Pixels: amplitudes that differ by less are the same but for rounding, such as those of symmetric objects, 0."""


@dataclass(frozen=True)
class FourierAmplitudes:
    """The first amplitudes of the contour that each pixel of the foreground lies on, standardised over the patch.

    All contours of the foreground, outer and inner, are taken off it, and those of what is left, until nothing is
    (Cansiz et al., IEEE JBHI 2023, as in the authors' program, which standardises over the whole image).

    Attributes:
        harmonics: how many amplitudes, from the first on.
        classes: that are foreground; None: all but class 0.
    """

    harmonics: int = 1
    classes: Sequence[int] | None = None

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the maps (N, *P) float32: mean 0 and variance 1 each, or 0 where they are constant.

        Raises:
            UserError: in three dimensions, where contours are surfaces.
        """
        label = sample.label
        if label.ndim != 2:
            raise UserError("task: Fourier amplitudes are of contours, in two dimensions; data.slices shows slices")
        foreground = (label != 0) if self.classes is None else np.isin(label, list(self.classes))
        maps = peel_maps(foreground & (label != IGNORE), self.harmonics)
        maps -= maps.mean(axis=(1, 2), keepdims=True)
        deviation = maps.std(axis=(1, 2), keepdims=True)
        return np.asarray(maps / np.where(deviation > SAME, deviation, 1), np.float32)


def peel_maps(mask: np.ndarray, harmonics: int) -> np.ndarray:
    """The amplitudes of the contours of `mask` (H, W), of those of what remains without them, and so on: (N, H, W).

    A pixel that two contours of the same round share has the amplitudes of the later one, in OpenCV's order.
    """
    maps = np.zeros((harmonics, *mask.shape))
    rest = mask.astype(np.uint8)
    top, left = 0, 0
    while (box := cv2.boundingRect(rest))[2]:
        x, y, width, height = box
        top, left, rest = top + y, left + x, np.ascontiguousarray(rest[y : y + height, x : x + width])
        contours, _ = cv2.findContours(rest, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
        lengths = np.array([len(contour) for contour in contours])
        points = np.concatenate(contours)[:, 0]
        columns, rows = points.T
        found = np.repeat(amplitudes(points.astype(float), lengths, harmonics), lengths, axis=1)
        maps[:, rows + top, columns + left] = found
        rest[rows, columns] = 0
    return maps


def amplitudes(points: np.ndarray, lengths: np.ndarray, harmonics: int) -> np.ndarray:
    """The amplitudes A_1 .. A_N of the distance to the centre along closed contours: (N, C).

    With d_t the step from point t to the next, l_t = d_1 + .. + d_t, L the whole length, and the distance r_t to the
    mean of the points constant along step t,

        a_n = 1 / (pi n) sum (r_t - r_t+1) sin(2 pi n l_t / L),    b_n the same with -cos,    A_n = sqrt(a_n^2 + b_n^2).

    They do not depend on where a contour begins, on its place or direction, and grow as its size does.

    Args:
        points: (T, 2), of one contour after the other.
        lengths: (C,) points of each contour.
        harmonics: N.
    """
    starts = np.cumsum(lengths) - lengths
    centres = np.add.reduceat(points, starts) / lengths[:, None]
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    radius = np.linalg.norm(points - np.repeat(centres, lengths, axis=0), axis=1)
    step = np.linalg.norm(points[following] - points, axis=1)
    along = np.cumsum(step)
    whole = np.add.reduceat(step, starts)
    along -= np.repeat(along[starts] - step[starts], lengths)
    # A single point has no length, and a fall of 0.
    turn = 2 * np.pi * along / np.repeat(np.where(whole > 0, whole, 1), lengths)
    fall = radius - radius[following]
    orders = np.arange(1, harmonics + 1)[:, None]
    series = np.add.reduceat(fall * np.exp(1j * orders * turn), starts, axis=1)
    return np.asarray(np.abs(series) / (np.pi * orders))
