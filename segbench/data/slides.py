"""Whole slides, read at a fraction of their size without ever holding the whole of them.

Tiled TIFF files with or without a pyramid: Aperio .svs, and .tif of most scanners and converters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from segbench.data.formats.reader import reading
from segbench.errors import UserError

SLIDE_EXTENSIONS = (".svs", ".tif", ".tiff")
"""Extensions that can be read, lower-case."""

_CLOSE = 0.01  # sizes of pyramid levels are rounded: so far, relatively, may a level be from a whole fraction


@dataclass(frozen=True)
class Slide:
    """A slide at a fraction of its size.

    Attributes:
        image: (3, H, W) uint8.
        scale: pixels of the full slide that one pixel stands for, along rows and columns.
    """

    image: np.ndarray
    scale: tuple[float, float]


def read_slide(path: Path, downsample: int) -> Slide:
    """Read a slide; each pixel is the mean of the pixels that it stands for.

    It starts from the smallest level of the pyramid from which the size asked for is a whole fraction, and
    takes one tile of it after the other. Rows and columns at the far ends that fill no pixel are left out.

    Args:
        path: the file.
        downsample: how many times smaller than the full slide, at least 1.

    Raises:
        UserError: where the file cannot be read, is no RGB image of 8 bits, or is smaller than `downsample`.
    """
    with reading(path), tifffile.TiffFile(path) as file:
        levels = [level.keyframe for level in file.series[0].levels]
        level, factor = _level(levels, downsample)
        if level.samplesperpixel not in (3, 4) or level.dtype != np.uint8:
            raise UserError(
                f"{path} has {level.samplesperpixel} channels of {level.dtype}: a slide has 3 of uint8 (RGB)"
            )
        full = levels[0]
        size = level.imagelength // factor, level.imagewidth // factor
        if not min(size):
            raise UserError(
                f"{path} is {full.imagelength} x {full.imagewidth} pixels: "
                f"smaller than data.dataset.downsample={downsample}"
            )
        image = _reduced(level, factor, size)
    scale = full.imagelength / level.imagelength * factor, full.imagewidth / level.imagewidth * factor
    return Slide(np.moveaxis(image, -1, 0), scale)


def _level(levels: Sequence[Any], downsample: int) -> tuple[Any, int]:
    """The smallest usable level of a pyramid, and how many times smaller the result is than it."""
    for level in reversed(levels):
        ratio = downsample * level.imagewidth / levels[0].imagewidth
        if ratio > 1 - _CLOSE and abs(ratio - round(ratio)) < _CLOSE * ratio:
            return level, round(ratio)
    return levels[0], downsample


def _reduced(level: Any, factor: int, size: tuple[int, int]) -> np.ndarray:
    """The means of all squares of `factor` x `factor` pixels of a level, (H, W, 3) uint8."""
    sums = np.zeros((*size, 3), np.uint16 if factor <= 16 else np.uint32)  # 16 x 16 x 255 fits 16 bits
    for content, (*_, top, left, _), shape in level.segments():
        # Scanners leave out tiles of bare glass, which is white.
        tile = np.full(shape, 255, np.uint8) if content is None else content
        height, width = max(0, size[0] * factor - top), max(0, size[1] * factor - left)
        tile = tile.reshape(-1, *tile.shape[-2:])[:height, :width, :3]
        if tile.size:
            part = _row_sums(_row_sums(tile, top, factor).swapaxes(0, 1), left, factor).swapaxes(0, 1)
            place = sums[top // factor :, left // factor :][: part.shape[0], : part.shape[1]]
            place += part.astype(sums.dtype)
    area = factor * factor
    image = np.empty(sums.shape, np.uint8)
    for row, sum_of_squares in zip(image, sums, strict=True):  # row by row: a slide has no room for a third array
        row[:] = (sum_of_squares + area // 2) // area
    return image


def _row_sums(tile: np.ndarray, first: int, factor: int) -> np.ndarray:
    """Sums of the rows of a tile that belong to the same row of the result; `first` is the tile's first row."""
    last = first + len(tile) - 1
    sums = np.zeros((last // factor - first // factor + 1, *tile.shape[1:]), np.uint32)
    for start in range(min(factor, len(tile))):  # a few strided additions: several times faster than `reduceat`
        rows = tile[start::factor]
        place = (first + start) // factor - first // factor
        sums[place : place + len(rows)] += rows
    return sums
