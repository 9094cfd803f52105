"""Synthetic volumes: an organ, two touching nuclei and a vessel, drawn by code, so that 3D works without a download."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from segbench.data.case import Case, Dataset, Record
from segbench.data.datasets.drawn import Drawn
from segbench.data.datasets.textures import smooth_noise
from segbench.errors import UserError

_ORGAN, _ANTERIOR, _POSTERIOR, _VESSEL = 1, 2, 3, 4
_BRIGHTNESS = np.array([0.25, 0.5, 0.85, 0.72, 1.05])
"""By class; the tissue around is noise about the first."""


class SyntheticVolumes(Dataset):
    """MR-like volumes of four structures that touch each other.

    An organ of an uneven outline holds two nuclei that touch (anterior and posterior, of nearly the same
    brightness: their place tells them apart) and is crossed by a winding vessel. What makes it hard: slices are
    thick, a bias field is stronger than the contrast, and there are noise and bright specks of no class. Outside
    the body there are zeros. The axes are oblique.

    Args:
        cases: how many.
        size: voxels along (z, y, x).
        spacing: of these axes in mm.
        seed: another seed gives another data set.
    """

    name = "synthetic_volumes"
    classes = ("background", "organ", "anterior", "posterior", "vessel")
    channels = 1
    channel_names = ("MR",)
    spatial_dims = 3
    source = Drawn.source

    def __init__(self, cases: int, size: Sequence[int], spacing: Sequence[float], seed: int) -> None:
        if cases < 1 or len(size) != 3 or min(size) < 12 or len(spacing) != 3 or min(spacing) <= 0:
            raise UserError(
                f"data.dataset has cases={cases}, size={list(size)}, spacing={list(spacing)}: expected are at least 1"
                " case, three lengths of at least 12 and three sizes above 0"
            )
        self.cases = cases
        self.size = tuple(int(length) for length in size)
        self.spacing = tuple(float(edge) for edge in spacing)
        self.seed = seed

    def records(self) -> list[Record]:
        """The numbers of the volumes."""
        return [Record(name, name) for name in (f"volume_{index:04}" for index in range(self.cases))]

    def load(self, record: Record) -> Case:
        """Draw one volume."""
        rng = np.random.default_rng([self.seed, int(record.id.removeprefix("volume_"))])
        label, body = _draw_label(rng, self.size, self.spacing)
        image = _acquire(rng, label, body)
        return Case(record.id, image[None], label, self.spacing, record.group, directions="SAR")

    def settings(self) -> dict[str, object]:
        """The settings that decide the drawing."""
        return {"drawing": 1, "size": self.size, "spacing": self.spacing, "seed": self.seed}


def _draw_label(
    rng: np.random.Generator, size: tuple[int, ...], spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Classes (D, H, W) uint8 and the body (D, H, W) bool."""
    extent = np.multiply(size, spacing)
    unit = extent.min() / 2
    middle = extent / 2 + rng.uniform(-0.08, 0.08, 3) * extent
    grid = np.stack(np.meshgrid(*((np.arange(n) + 0.5) * s for n, s in zip(size, spacing, strict=True)), indexing="ij"))
    turn = np.linalg.qr(rng.normal(size=(3, 3)) * 0.35 + np.eye(3))[0]
    there = np.tensordot(turn, grid - middle.reshape(3, 1, 1, 1), 1)
    sigma = tuple(0.12 * unit / edge for edge in spacing)
    rough = 0.09 * _normal(gaussian_filter(rng.normal(size=size), sigma))

    def ellipsoid(at: Sequence[float], radii: np.ndarray) -> np.ndarray:
        """Relative distance from a centre in units of the organ's frame: below 1 inside."""
        parts = (((axis - unit * a) / (unit * r)) ** 2 for axis, a, r in zip(there, at, radii, strict=True))
        return np.asarray(np.sqrt(sum(parts)) * (1 + rough))

    label = np.zeros(size, np.uint8)
    label[ellipsoid((0, 0, 0), rng.uniform((0.6, 0.6, 0.55), (0.8, 0.85, 0.75))) < 1] = _ORGAN
    gap = rng.uniform(0.2, 0.26)
    front = ellipsoid((0, gap, 0), rng.uniform(0.24, 0.3, 3))
    back = ellipsoid((0, -gap, 0), rng.uniform(0.24, 0.3, 3))
    label[(front < 1) & (front <= back)] = _ANTERIOR
    label[(back < 1) & (back < front)] = _POSTERIOR
    phase, swing = rng.uniform(0, 2 * np.pi), rng.uniform(0.08, 0.16)
    course = swing * np.sin(there[0] / (0.25 * unit) + phase)
    distance = np.hypot(there[1] / unit - course, there[2] / unit - 0.42)
    label[(distance < 0.1) & (np.abs(there[0]) < 0.9 * unit)] = _VESSEL
    half = 0.42 * extent.reshape(3, 1, 1, 1)
    body = (((grid - extent.reshape(3, 1, 1, 1) / 2) / half) ** 4).sum(axis=0) < 1.6
    label[~body] = 0
    return label, body


def _acquire(rng: np.random.Generator, label: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The scanner's image of the structures, int16."""
    light = _BRIGHTNESS[label] + 0.06 * _normal(smooth_noise(rng, label.shape, 2.0))
    specks = gaussian_filter((rng.random(label.shape) < 4e-4).astype(float), 0.8)
    light += 0.5 * specks / max(specks.max(), 1e-6)
    bias = np.exp(0.28 * _normal(smooth_noise(rng, label.shape, max(label.shape) / 4)))
    seen = gaussian_filter(light * bias, (0.3, 0.7, 0.7))
    noisy = np.hypot(seen + rng.normal(0, 0.07, seen.shape), rng.normal(0, 0.07, seen.shape))  # Rician
    return np.asarray(np.clip(noisy * 400 * rng.uniform(0.7, 1.4), 1, 4000) * body, np.int16)


def _normal(noise: np.ndarray) -> np.ndarray:
    return np.asarray(noise / max(float(noise.std()), 1e-9))
