"""Synthetic tissue: four classes that only several scales together tell apart, drawn by code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from segbench.data.case import Case, Record
from segbench.data.datasets.drawn import Drawn
from segbench.data.datasets.textures import smooth_noise
from segbench.errors import UserError

# Pixels at scale 1, made for patches of 512.
_REGION = 480.0  # from the middle of a region to that of its neighbour
_PERIOD = 180.0  # from the middle of a cord or nest to that of the next
_SPACING = 24.0  # between nuclei
_NUCLEUS = 5.0  # deviation of a nucleus, whose border is soft

_STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]])
"""Optical density of haematoxylin and of eosin in red, green and blue (Ruifrok and Johnston 2001)."""


class SyntheticTissue(Drawn):
    """Regions of stained tissue whose class is a pair: how nuclei are arranged, and whether the matrix is grained.

    Nuclei fill long cords or round nests, half of the area in both: a field must be as wide as one to tell them
    apart. The grain has the size of single pixels at every scale: it is gone where the image is made half as large.
    So a narrow view tells grained from plain, a wide and coarse one cords from nests, and neither all four classes.
    Colour and density tell nothing.

    Args:
        cases: how many images.
        size: height and width in pixels.
        scale: of regions, glands and nuclei: 1 suits patches of 512 pixels, 0.25 of 128.
        seed: another seed gives another data set; a case depends on the seed and its number alone.
    """

    name = "synthetic_tissue"
    prefix = "tissue"
    classes = ("cords", "grained_cords", "nests", "grained_nests")
    background = None
    channels = 3
    remarks = ("every pixel of a region has its class, nuclei and the space between them",)

    def __init__(self, cases: int, size: Sequence[int], scale: float, seed: int) -> None:
        super().__init__(cases, size, seed)
        if not 0.1 <= scale <= 4:
            raise UserError(f"data.dataset.scale={scale}: must be from 0.1 to 4")
        self.scale = float(scale)

    def draw(self, record: Record, rng: np.random.Generator) -> Case:
        """Draw the case of a record with nothing but these random numbers."""
        label = _regions(rng, self.size, self.scale)
        nests, grained = label >= 2, label % 2 == 1
        nuclei = _nuclei(
            rng, np.where(nests, _nests(rng, self.size, self.scale), _cords(rng, self.size, self.scale)), self.scale
        )
        image = _stain(rng, nuclei, grained)
        return Case(record.id, image, label, (1.0, 1.0), record.group)

    def settings(self) -> dict[str, object]:
        """The settings that decide the drawing."""
        return super().settings() | {"scale": self.scale}


def _grid(rng: np.random.Generator, size: tuple[int, int], step: float, jitter: float) -> np.ndarray:
    """Points (N, 2) about `step` apart, over the image and a step around it."""
    lines = [np.arange(-step * rng.uniform(0.5, 1.5), length + step, step) for length in size]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.asarray(points + rng.uniform(-jitter, jitter, points.shape) * step)


def _regions(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """The class of each pixel (H, W) uint8: that of the nearest of a few points, with wavy borders."""
    step = _REGION * scale
    points = _grid(rng, size, step, 0.25)
    kinds = rng.permutation(np.arange(len(points)) % 4)
    return kinds[cKDTree(points).query(_bent(rng, size, step))[1]].astype(np.uint8)


def _bent(rng: np.random.Generator, size: tuple[int, int], step: float) -> np.ndarray:
    """The place of each pixel (H, W, 2), moved by a smooth field of a few hundredths of a step to its sides."""
    noise = [smooth_noise(rng, size, 0.3 * step) for _ in size]
    return np.stack([line + 0.07 * step * bend for line, bend in zip(np.indices(size), noise, strict=True)], axis=-1)


def _cords(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """The places of nuclei in tissue of cords, (H, W) bool: stripes, as wide as the space between them."""
    period, angle = _PERIOD * scale, rng.uniform(0, np.pi)
    across = _bent(rng, size, period) @ np.array([np.cos(angle), np.sin(angle)])
    return np.asarray((across / period + rng.uniform()) % 1 < 0.5)


def _nests(rng: np.random.Generator, size: tuple[int, int], scale: float) -> np.ndarray:
    """The places of nuclei in tissue of nests, (H, W) bool: discs of half the area."""
    period = _PERIOD * scale
    middles = _grid(rng, size, period, 0.12)
    distance = cKDTree(middles).query(_bent(rng, size, period))[0]
    return np.asarray(distance < period / np.sqrt(2 * np.pi))


def _nuclei(rng: np.random.Generator, where: np.ndarray, scale: float) -> np.ndarray:
    """Haematoxylin (H, W), 0 to 1, of nuclei in these places."""
    size = (where.shape[0], where.shape[1])
    points = np.rint(_grid(rng, size, _SPACING * scale, 0.3)).astype(int)
    points = points[((points >= 0) & (points < size)).all(axis=1)]
    points = points[where[tuple(points.T)]]
    sigma = max(_NUCLEUS * scale, 0.8)
    dots = np.zeros(size)
    np.add.at(dots, tuple(points.T), rng.uniform(0.7, 1.3, len(points)) * 2 * np.pi * sigma**2)
    return np.asarray(1 - np.exp(-2 * ndimage.gaussian_filter(dots, sigma, mode="constant")))


def _stain(rng: np.random.Generator, nuclei: np.ndarray, grained: np.ndarray) -> np.ndarray:
    """A camera's image of the stained tissue: (3, H, W) uint8, by Beer and Lambert's law."""
    size = (nuclei.shape[0], nuclei.shape[1])
    white = rng.normal(size=size)
    grain = white - ndimage.gaussian_filter(white, 0.7)
    matrix = 0.55 + 0.08 * smooth_noise(rng, size, 12.0) + np.where(grained, 0.14, 0.02) * grain
    amounts = np.stack([rng.uniform(0.7, 1.1) * nuclei, rng.uniform(0.6, 1.0) * matrix * (1 - 0.4 * nuclei)])
    stains = _STAINS + rng.normal(0, 0.03, _STAINS.shape)
    light = np.exp(-np.tensordot(stains.T, np.clip(amounts, 0, None), 1)) * 240
    return np.clip(light + rng.normal(0, 3, light.shape), 0, 255).astype(np.uint8)
