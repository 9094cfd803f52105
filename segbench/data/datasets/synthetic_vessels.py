"""Synthetic vessels: a photograph of a retina drawn by code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from segbench.data.case import IGNORE, Case, Record
from segbench.data.datasets.drawn import Drawn
from segbench.data.datasets.textures import smooth_noise

_FIELD = 0.47  # radius of the field of view, as a share of the shorter side
_COLOUR = np.array([170.0, 90.0, 45.0])  # of the retina: red, green, blue
_CONTRAST = np.array([0.15, 0.5, 0.25])  # of the thickest vessel
_THINNEST = 0.8  # half width in pixels below which a vessel ends


class SyntheticVessels(Drawn):
    """Tortuous, branching vessels in a round field of view, such as `drive` has them.

    What makes it hard: thin vessels are fainter than thick ones and soon as faint as the noise, the light
    is uneven, and dark spots and the border of the field of view are as dark as vessels. What is outside
    the field of view is neither learnt nor scored.

    See `Drawn` for what is set.
    """

    name = "synthetic_vessels"
    prefix = "vessels"
    smallest = 64
    classes = ("background", "vessel")
    channels = 3
    remarks = ("pixels outside the field of view are neither learnt nor scored",)

    def draw(self, record: Record, rng: np.random.Generator) -> Case:
        """Draw the case of a record with nothing but these random numbers."""
        thickness = _draw_vessels(rng, self.size)
        away = np.linalg.norm(np.indices(self.size).T - np.divide(self.size, 2), axis=-1).T
        inside = away < _FIELD * min(self.size)
        label = np.where(inside, thickness > 0, IGNORE).astype(np.uint8)
        image = _photograph(rng, thickness, inside)
        return Case(record.id, image, label, (1.0, 1.0), record.group)


def _draw_vessels(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Half width of the vessel at each pixel (H, W), 0 where none is.

    A vessel is a random walk whose direction drifts; where it divides, the branches' half widths r obey
    Murray's law, r0^3 = r1^3 + r2^3 (Murray 1926).
    """
    origin = rng.uniform(0.3, 0.7, 2) * size
    growing = [
        (origin, rng.uniform(-0.3, 0.3) + quarter * np.pi / 2, _thickest(size) * rng.uniform(0.7, 1))
        for quarter in range(4)
    ]
    lines: dict[float, list[np.ndarray]] = defaultdict(list)
    while growing:
        place, angle, radius = growing.pop()
        angles = angle + np.cumsum(rng.normal(0, 0.1, int(rng.uniform(0.1, 0.3) * min(size))))
        points = place + np.cumsum(np.stack([np.sin(angles), np.cos(angles)], axis=1), axis=0)  # a pixel apart
        lines[round(4 * radius) / 4].append(points)
        place, angle = points[-1], angles[-1]
        if (place > 0).all() and (place < size).all():
            share = rng.uniform(0.3, 0.9)
            for part, turn in ((share, -rng.uniform(0.2, 0.6)), (1 - share, rng.uniform(0.3, 0.9))):
                if radius * np.cbrt(part) > _THINNEST:
                    growing.append((place, angle + turn, radius * np.cbrt(part)))
    return _disks({radius: np.concatenate(points) for radius, points in lines.items()}, size)


def _thickest(size: tuple[int, ...]) -> float:
    return min(size) / 90 + 1


def _disks(centres: Mapping[float, np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    """The largest radius of the disks that cover each pixel (H, W); the centres (N, 2) are given by radius."""
    result = np.zeros(size)
    for radius in sorted(centres):
        rows, columns = np.round(centres[radius]).astype(int).T
        seen = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
        away = np.ones(size, bool)
        away[rows[seen], columns[seen]] = False
        if seen.any():
            result[ndimage.distance_transform_edt(away) <= radius] = radius
    return result


def _photograph(rng: np.random.Generator, thickness: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A fundus camera's image of the vessels, (3, H, W) uint8."""
    size = thickness.shape
    illumination = np.exp(0.25 * smooth_noise(rng, size, min(size) / 5) + 0.06 * smooth_noise(rng, size, 3))
    depth = thickness / _thickest(size)
    spots = _disks({radius: rng.uniform(0, size, (rng.poisson(2), 2)) for radius in (1.5, 3.0, 5.0)}, size)
    shade = np.clip(depth**0.7 + 0.7 * (spots > 0), 0, 1)
    light = illumination * (1 - _CONTRAST[:, None, None] * shade) * inside
    seen = ndimage.gaussian_filter(light, (0, 0.8, 0.8))
    noise = rng.normal(0, 5, (3, *size))
    return np.clip(_COLOUR[:, None, None] * seen + noise, 0, 255).astype(np.uint8)
