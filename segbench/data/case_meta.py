"""The facts of a decoded case that are known without opening its arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segbench.data.case import Part


@dataclass(frozen=True)
class Intensities:
    """Statistics of one channel of one image; the quantiles are 0, 1/32, 2/32, .. 1."""

    mean: float
    std: float
    minimum: float
    percentile_00_5: float
    percentile_99_5: float
    maximum: float
    quantiles: tuple[float, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Intensities:
        """Read it from the JSON values of `dataclasses.asdict`."""
        return cls(**value | {"quantiles": tuple(value["quantiles"])})


@dataclass(frozen=True)
class CaseMeta:
    """The facts about a decoded case that are known without opening its arrays.

    Attributes:
        id: the case's id.
        group: the case's group.
        part: the part that the data set fixes, or None.
        spacing: size of a pixel along each axis.
        shape: (C, *S) of the image.
        dtype: the image's type as decoded.
        intensities: one per channel.
        pixels: pixels of each class in the label; index = class.
        ignored: pixels of the label that are neither learnt nor scored.
        objects: number of instances, or None without instances.
        image_digest: hash of the image's pixels: the same for the same image under another name.
        digest: hash of image, label, instances, spacing and arrays.
    """

    id: str
    group: str
    part: Part | None
    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    dtype: str
    intensities: tuple[Intensities, ...]
    pixels: tuple[int, ...]
    ignored: int
    objects: int | None
    image_digest: str
    digest: str

    @property
    def present(self) -> frozenset[int]:
        """The classes that the label has."""
        return frozenset(index for index, count in enumerate(self.pixels) if count)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> CaseMeta:
        """Read it from the JSON values of `dataclasses.asdict`."""
        tuples = {key: tuple(value[key]) for key in ("spacing", "shape", "pixels")}
        return cls(**value | tuples | {"intensities": tuple(map(Intensities.from_json, value["intensities"]))})


def measure_intensities(image: np.ndarray) -> tuple[Intensities, ...]:
    """Statistics of each channel of an image (C, *S)."""
    return tuple(_channel_intensities(channel) for channel in image)


def _channel_intensities(channel: np.ndarray) -> Intensities:
    low, high, *quantiles = np.percentile(channel, (0.5, 99.5, *np.linspace(0, 100, 33)))
    return Intensities(
        mean=float(channel.mean(dtype=np.float64)),
        std=float(channel.std(dtype=np.float64)),
        minimum=float(channel.min()),
        percentile_00_5=float(low),
        percentile_99_5=float(high),
        maximum=float(channel.max()),
        quantiles=tuple(map(float, quantiles)),
    )
