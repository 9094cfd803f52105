"""Synthetic cells: a microscope image drawn by code, so that everything works without any download."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage import measure

from segbench.data.case import Case, Record
from segbench.data.datasets.drawn import Drawn
from segbench.data.datasets.textures import smooth_noise

_ROUND, _SPINDLE, _RING = 1, 2, 3
_SHARE = {_ROUND: 0.56, _SPINDLE: 0.36, _RING: 0.08}
_CLOSEST = 15  # pixels between the centres of two cells
_SMALLEST = 25  # pixels; what is left of a cell below others can be smaller, and is not drawn


class SyntheticCells(Drawn):
    """Touching cells of three classes that neither brightness nor one pixel's surroundings tell apart.

    Round and spindle cells have the same surface and differ in shape; ring cells (rare) have the shape of
    round ones and a dark middle. What makes it hard: cells touch and hide parts of each other, they
    differ more from each other in brightness than from the background, the illumination is uneven,
    out-of-focus light and debris are as bright as cells, and the picture is blurred and noisy.

    See `Drawn` for what is set.
    """

    name = "synthetic_cells"
    prefix = "cells"
    classes = ("background", "round", "spindle", "ring")
    channels = 1
    has_instances = True
    remarks = ("every piece of a cell that others cut apart is an instance of its own",)

    def draw(self, record: Record, rng: np.random.Generator) -> Case:
        """Draw the case of a record with nothing but these random numbers."""
        kinds, owner, depth = _draw_cells(rng, self.size)
        instances, label = _pieces(owner, kinds)
        image = _photograph(rng, _light(rng, kinds, np.where(label > 0, owner, 0), depth))
        return Case(record.id, image[None], label, (1.0, 1.0), record.group, instances)


def _draw_cells(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place cells in clusters.

    Returns:
        Class by cell (index 0 is no cell); the cell of each pixel (H, W), 0 = none; and each pixel's relative
        distance from its cell's centre (H, W): 0 there, 1 at the outline and outside.
    """
    count = int(rng.uniform(1.0, 2.2) * size[0] * size[1] / 1000)
    clusters = rng.uniform(0, size, (max(1, count // 9), 2))
    centres = clusters[rng.integers(len(clusters), size=count)] + rng.normal(0, 30, (count, 2))
    too_close = np.linalg.norm(centres[:, None] - centres, axis=2) < _CLOSEST
    centres = centres[~np.triu(too_close, 1).any(axis=0)]
    kinds = np.append(0, rng.choice(list(_SHARE), len(centres), p=list(_SHARE.values())))
    owner = np.zeros(size, np.int32)
    depth = np.ones(size, np.float32)
    for cell, (centre, kind) in enumerate(zip(centres, kinds[1:], strict=True), start=1):
        box, distance = _distance(rng, centre, kind, size)
        # The nearer centre wins a pixel that two cells claim, so that touching cells share a border.
        inside = distance < depth[box]
        owner[box][inside] = cell
        depth[box][inside] = distance[inside]
    return kinds, owner, depth


def _distance(
    rng: np.random.Generator, centre: np.ndarray, kind: int, size: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray]:
    """The relative distance of a new cell's surroundings from its centre, and where they are in the image."""
    radius = rng.uniform(9, 13)
    stretch = rng.uniform(1.5, 1.9) if kind == _SPINDLE else rng.uniform(1.0, 1.15)
    angle = rng.uniform(0, np.pi)
    waves = rng.normal(0, 0.05, (2, 3))
    reach = int(np.ceil(radius * stretch * 1.5))
    low = np.clip(centre.astype(int) - reach, 0, size)
    high = np.clip(centre.astype(int) + reach + 1, 0, size)
    box = (slice(low[0], high[0]), slice(low[1], high[1]))
    y, x = np.ogrid[box]
    y, x = y - centre[0], x - centre[1]
    along = (np.cos(angle) * x + np.sin(angle) * y) / (radius * stretch)
    across = (np.cos(angle) * y - np.sin(angle) * x) / (radius / stretch)
    phi = np.arctan2(across, along)[None] * np.array([2, 3, 4]).reshape(3, 1, 1)
    outline = 1 + np.tensordot(waves[0], np.cos(phi), 1) + np.tensordot(waves[1], np.sin(phi), 1)
    return box, np.hypot(along, across) / outline


def _pieces(owner: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Instances (H, W) int32 and label (H, W) uint8: the connected pieces of the cells, without crumbs."""
    pieces: np.ndarray = measure.label(owner, connectivity=1)  # type: ignore[no-untyped-call]
    kept = np.bincount(pieces.ravel()) >= _SMALLEST
    kept[0] = False
    instances = (np.cumsum(kept) * kept)[pieces].astype(np.int32)
    return instances, np.where(instances > 0, kinds[owner], 0).astype(np.uint8)


def _light(rng: np.random.Generator, kinds: np.ndarray, owner: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The light that cells, debris and surroundings send out, (H, W)."""
    size = owner.shape
    brightness = rng.uniform(0.4, 1.1, len(kinds))[owner]
    dome = 1 - 0.35 * depth**2
    ring = 0.4 + 0.6 * np.clip((depth - 0.25) / 0.35, 0, 1)
    surface = np.where(kinds[owner] == _RING, ring, dome)
    grain = 1 + 0.22 * smooth_noise(rng, size, 1.5)
    cells = np.where(owner > 0, brightness * surface * grain, 0)
    haze = np.clip(smooth_noise(rng, size, 14), 0, None)
    return np.asarray(cells + 0.25 * haze + _debris(rng, size))


def _debris(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Specks and cells out of focus: as bright as cells, of no class."""
    debris = np.zeros(size)
    area = size[0] * size[1]
    for density, sigma, low, high in ((1 / 1500, 1.3, 0.6, 1.6), (1 / 9000, 7.0, 0.35, 0.8)):
        count = rng.poisson(area * density)
        points = np.zeros(size)
        where = tuple(rng.integers(length, size=count) for length in size)
        np.add.at(points, where, rng.uniform(low, high, count) * 2 * np.pi * sigma**2)
        debris += ndimage.gaussian_filter(points, sigma, mode="constant")
    return debris


def _photograph(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """A camera's image of the light: uneven illumination, blur, photon and read-out noise, 8 bits."""
    illumination = np.exp(0.3 * smooth_noise(rng, light.shape, 60))
    background = 0.4 + 0.2 * smooth_noise(rng, light.shape, 50)
    seen = ndimage.gaussian_filter(illumination * (light + background), rng.uniform(0.8, 1.4))
    photons = rng.uniform(40, 90)
    noisy = rng.poisson(photons * np.clip(seen, 0, None)) / photons + rng.normal(0, 0.03, light.shape)
    return np.clip(noisy * 115, 0, 255).astype(np.uint8)
