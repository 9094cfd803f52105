"""The contract between a file format and the rest of the house."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from segbench.errors import UserError, as_line

PRINT_SPACING = 0.01
"""Millimetres per pixel (2540 dpi) from which on a resolution in inches or centimetres is one for printing."""

LOSSY = "the format changes pixel values, as JPEG does; masks must be PNG or TIFF"
"""A sentence for masks whose values are not those that were written."""


@dataclass(frozen=True)
class Decoded:
    """A file's content, before anybody knows whether it is an image or a mask.

    Attributes:
        array: (C, *S) as stored, S = (H, W) or (D, H, W), in this machine's byte order; without alpha. C is 1
            where there is a palette.
        palette: (N, 3) uint8, the colour that each value of `array` stands for; None: values are intensities.
        spacing: size of a pixel along each axis of S in mm; None where the file does not say it for every axis.
        affine: (4, 4), indices along the axes of S to mm in the patient's coordinates, which grow towards right,
            anterior and superior; None where unknown.
        channels: names of the channels; empty where unknown.
        orientation: how viewers turn the array before they show it, 1 to 8 as EXIF numbers it; 1 is not at all.
        lossy: whether the values may differ from those that were once written, as in JPEG.
        alpha: (*S), how opaque each pixel is; None where the file does not say.
        white_is_zero: whether viewers show small values bright and large ones dark.
    """

    array: np.ndarray
    palette: np.ndarray | None = None
    spacing: tuple[float, ...] | None = None
    affine: np.ndarray | None = None
    channels: tuple[str, ...] = ()
    orientation: int = 1
    lossy: bool = False
    alpha: np.ndarray | None = None
    white_is_zero: bool = False


class Reader(Protocol):
    """A family of file formats: a module of this package, listed in its `READERS`.

    The functions may raise anything at a damaged file: whoever calls them does so in `reading`.

    Attributes:
        SUFFIXES: of the files that it reads, lower-case with the dot; `.nii.gz` is one, too.
        SIGNATURES: first bytes of such files, by which they are known whatever their name is.
    """

    SUFFIXES: tuple[str, ...]
    SIGNATURES: tuple[bytes, ...]

    def read(self, path: Path) -> Decoded:
        """Decode a whole file."""

    def count_channels(self, path: Path) -> int:
        """Count the channels of the image by the file's header; colour palettes have 3."""

    def encode_mask(self, label: np.ndarray, like: Path | None) -> tuple[str, bytes] | None:
        """Encode a mask.

        Args:
            label: (*S) of the smallest unsigned integer that holds it, or float32.
            like: the image that it belongs to, of any format, whose suffix and geometry it should get.

        Returns:
            Suffix and content of the file, or None where the format cannot hold the mask.
        """


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises at a file into one line.

    Raises:
        UserError: where the file is not there or cannot be read.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}") from error
    except Exception as error:  # the decoders raise nearly anything at a damaged file
        raise UserError(f"{path} cannot be read, it is damaged or no image: {as_line(error)}") from error


def is_grey(palette: np.ndarray) -> bool:
    """Return whether a palette (N, 3) has shades of grey only."""
    return bool((palette == palette[:, :1]).all())


def exact_spacing(*sizes: float | None) -> tuple[float, ...] | None:
    """The sizes to six digits, rows as far apart as columns where they differ by less than a thousandth.

    Resolutions are stored as fractions of integers, rounded in many ways, and square pixels shall stay square.

    Args:
        sizes: of a pixel along each axis in mm, the rows' and the columns' last.

    Returns:
        The sizes, or None where one of them is unknown or no size of a pixel.
    """
    known = [size for size in sizes if size is not None and 1e-9 < size < 1e3]  # atoms are larger, images smaller
    if len(known) < len(sizes):
        return None
    if math.isclose(*known[-2:], rel_tol=1e-3):
        known[-2] = known[-1]
    return tuple(float(f"{size:.6g}") for size in known)


def checked_spacing(sizes: Sequence[float], path: Path) -> tuple[float, ...]:
    """The sizes of a voxel in mm as a volume's header says them.

    Raises:
        UserError: where one is no size.
    """
    if not all(0 < size < math.inf for size in sizes):
        said = " x ".join(f"{size:g}" for size in sizes)
        raise UserError(f"{path} says that its voxels are {said} mm: every size must be above 0; correct its header")
    return tuple(float(f"{size:.7g}") for size in sizes)  # a float32 has no more digits


def printless(size: float | None) -> float | None:
    """A size in mm that comes from dots per inch or centimetre, unless it only says how to print the image.

    Every photograph says 72, 96 or 300 dpi, which is no size of anything. Microscopes are finer than 10 um.
    """
    return size if size is not None and size < PRINT_SPACING else None
