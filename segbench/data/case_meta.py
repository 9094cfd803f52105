"""The facts of a decoded case that are known without opening its arrays."""

from __future__ import annotations

from collections.abc import Sequence
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
        nonzero: of a volume, first and last + 1 along each axis of what is not 0 in any channel; None of an image.
        directions: the side of the patient that each axis runs to, as `Case.directions`.
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
    nonzero: tuple[tuple[int, int], ...] | None = None
    directions: str = ""

    @property
    def present(self) -> frozenset[int]:
        """The classes that the label has."""
        return frozenset(index for index, count in enumerate(self.pixels) if count)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> CaseMeta:
        """Read it from the JSON values of `dataclasses.asdict`."""
        tuples = {key: tuple(value[key]) for key in ("spacing", "shape", "pixels")}
        if value.get("nonzero") is not None:
            tuples["nonzero"] = tuple(map(tuple, value["nonzero"]))
        return cls(**value | tuples | {"intensities": tuple(map(Intensities.from_json, value["intensities"]))})


def measure_sizes(cases: Sequence[CaseMeta]) -> dict[str, list[float]]:
    """The sizes of cases, for `run.json`.

    Returns:
        Along each axis the median, the least and the most of the pixels (`shape`, `least_shape`, `most_shape`) and of
        their spacing in mm (`spacing`, ..).
    """
    rows = {"shape": [case.shape[1:] for case in cases], "spacing": [case.spacing for case in cases]}
    found = {}
    for name, sizes in rows.items():
        for prefix, function in (("", np.median), ("least_", np.min), ("most_", np.max)):
            found[f"{prefix}{name}"] = [float(size) for size in function(np.array(sizes), axis=0)]
    return found


def measure_intensities(image: np.ndarray) -> tuple[Intensities, ...]:
    """Statistics of each channel of an image (C, *S)."""
    return tuple(_channel_intensities(channel) for channel in image)


def nonzero_box(image: np.ndarray) -> tuple[tuple[int, int], ...]:
    """First and last + 1 along each axis of S of what is not 0 in any channel of an image (C, *S); all, where all is 0.

    Holes in it, which nnU-Net fills first, do not change the box.
    """
    lines: list[np.ndarray] = [np.zeros(length, bool) for length in image.shape[1:]]
    axes = range(1, image.ndim - 1)
    for channel in image:
        for number, row in enumerate(channel):  # row by row: no second volume in memory
            there = row != 0
            lines[0][number] |= there.any()
            for axis in axes:
                lines[axis] |= there.any(axis=tuple(other - 1 for other in axes if other != axis))
    found = [np.flatnonzero(line) for line in lines]
    if not found[0].size:
        return tuple((0, length) for length in image.shape[1:])
    return tuple((int(places[0]), int(places[-1]) + 1) for places in found)


def _channel_intensities(channel: np.ndarray) -> Intensities:
    shares = np.array((0.5, 99.5, *np.linspace(0, 100, 33)))
    if channel.ndim == 3 and channel.dtype.kind in "iu" and channel.dtype.itemsize <= 2:
        return _integer_intensities(channel, shares)
    low, high, *quantiles = np.percentile(channel, shares)
    return Intensities(
        mean=float(channel.mean(dtype=np.float64)),
        std=float(channel.std(dtype=np.float64)),
        minimum=float(channel.min()),
        percentile_00_5=float(low),
        percentile_99_5=float(high),
        maximum=float(channel.max()),
        quantiles=tuple(map(float, quantiles)),
    )


def _integer_intensities(channel: np.ndarray, shares: np.ndarray) -> Intensities:
    """The same of a volume of integers, by the counts of its values: nothing is sorted, nothing is copied."""
    lowest = np.iinfo(channel.dtype).min
    counts = np.zeros(2 ** (8 * channel.dtype.itemsize), np.int64)
    for row in channel:
        counts += np.bincount(row.reshape(-1).astype(np.int64) - lowest, minlength=len(counts))
    values, total = np.arange(len(counts)) + float(lowest), int(counts.sum())
    until = np.cumsum(counts)
    ranks = shares / 100 * (total - 1)
    below, above = (values[np.searchsorted(until, side(ranks), side="right")] for side in (np.floor, np.ceil))
    low, high, *quantiles = below + (above - below) * (ranks - np.floor(ranks))
    mean = float(values @ counts) / total
    present = np.flatnonzero(counts)
    return Intensities(
        mean=mean,
        std=float(np.sqrt((values - mean) ** 2 @ counts / total)),
        minimum=float(values[present[0]]),
        percentile_00_5=float(low),
        percentile_99_5=float(high),
        maximum=float(values[present[-1]]),
        quantiles=tuple(map(float, quantiles)),
    )
