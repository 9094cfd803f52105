"""Random changes of colours, on images as they were decoded.

Stains and hues exist only in red, green and blue between black and white, so these transforms run before
the intensities are normalised. They return float32 on the same scale. The value of white follows from the type in
which the case was decoded, not from that of an image on its way through several transforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np
from skimage.color import hed_from_rgb, rgb_from_hed

from segbench.data.augmentations.elastic import Range
from segbench.data.case_meta import Intensities
from segbench.errors import UserError


@runtime_checkable
class BetweenBlackAndWhite(Protocol):
    """A transform of colours that has to know the value of white."""

    def for_case(self, dtype: np.dtype, channels: Sequence[Intensities]) -> Self:
        """The transform with the white of a case, unless its settings say another value.

        Args:
            dtype: of the case's image as decoded.
            channels: statistics of each channel of the case.

        Raises:
            UserError: where its values go beyond the white of the type.
        """


def white_of(dtype: np.dtype, highest: float) -> float:
    """The value of white in images of a type: the largest integer, or 1 in floating point.

    Args:
        dtype: of the image as decoded.
        highest: of its values.

    Raises:
        UserError: where they go beyond white.
    """
    if dtype.kind in "ui":
        return float(np.iinfo(dtype).max)
    if highest > 1:
        raise UserError(
            f"augmentation.colour: white is 1 in images of {dtype}, but these have values up to {highest:g}: say what"
            " white is, such as +augmentation.colour.stain.white=255"
        )
    return 1.0


@dataclass(frozen=True)
class StainJitter:
    """More or less haematoxylin, eosin and DAB: each stain's density becomes a * density + b.

    Tellez et al. 2018, with the stain vectors of Ruifrok and Johnston 2001. Densities are absorbances to
    base 10, so that b adds the same layer of stain everywhere; the paper's are on a scale of their own.

    Attributes:
        probability: of doing so at all.
        factor: range of a, drawn for each stain.
        shift: range of b, drawn for each stain.
        white: the value of white; None: `white_of` the image's type.
    """

    probability: float
    factor: Range = (1.0, 1.0)
    shift: Range = (0.0, 0.0)
    white: float | None = None

    def for_case(self, dtype: np.dtype, channels: Sequence[Intensities]) -> Self:
        """The same transform with the white of a case; see `BetweenBlackAndWhite`."""
        _check_rgb(channels, "StainJitter")
        return self if self.white is not None else replace(self, white=_white_of_case(dtype, channels))

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the restained image (3, *P), or the image as it is.

        Raises:
            UserError: where the image is not RGB.
        """
        _check_rgb(image, "StainJitter")
        if rng.random() >= self.probability:
            return image
        factor, shift = rng.uniform(*self.factor, 3), rng.uniform(*self.shift, 3)
        # Rows of density @ matrix are pixels: to stains, change them, and back to colours, all at once.
        matrix = (hed_from_rgb * factor) @ rgb_from_hed
        added = shift @ rgb_from_hed
        white = _white(self.white, image)
        grey = white / 255  # one level of 8 bits is added, since black has no finite density
        density = -np.log10((image.reshape(3, -1).astype(np.float32) + np.float32(grey)) / np.float32(white + grey))
        density = matrix.T.astype(np.float32) @ density + added.astype(np.float32)[:, None]
        stained = np.float32(white + grey) * np.power(np.float32(10), -density) - np.float32(grey)
        return np.asarray(stained.clip(0, white).reshape(image.shape))


@dataclass(frozen=True)
class HueJitter:
    """Another hue, saturation and value.

    Attributes:
        probability: of doing so at all.
        hue: range of the turn of the colour circle; 1 is a full turn.
        saturation: range of the factor of the saturation.
        value: range of the factor of the value, the largest of red, green and blue.
        white: the value of white; None: `white_of` the image's type.
    """

    probability: float
    hue: Range = (0.0, 0.0)
    saturation: Range = (1.0, 1.0)
    value: Range = (1.0, 1.0)
    white: float | None = None

    def for_case(self, dtype: np.dtype, channels: Sequence[Intensities]) -> Self:
        """The same transform with the white of a case; see `BetweenBlackAndWhite`."""
        _check_rgb(channels, "HueJitter")
        return self if self.white is not None else replace(self, white=_white_of_case(dtype, channels))

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the recoloured image (3, *P), or the image as it is.

        Raises:
            UserError: where the image is not RGB.
        """
        _check_rgb(image, "HueJitter")
        if rng.random() >= self.probability:
            return image
        turn, saturation, value = (
            np.float32(rng.uniform(*range_)) for range_ in (self.hue, self.saturation, self.value)
        )
        rgb = image.astype(np.float32)
        high = rgb.max(axis=0)
        spread = high - rgb.min(axis=0)
        hue = _hue(rgb, high, spread) + 6 * turn
        saturated = np.minimum(spread / np.where(high > 0, high, 1) * saturation, 1)
        high = np.minimum(high * value, _white(self.white, image))
        # Smith 1978, in the form with one expression for the three channels.
        sixths = np.mod(np.array([5, 3, 1], np.float32).reshape(3, *(1,) * hue.ndim) + hue, 6)
        return np.asarray(high - high * saturated * np.minimum(sixths, 4 - sixths).clip(0, 1))


@dataclass(frozen=True)
class HistogramMatching:
    """The histogram of another training case, given to the image (Milletari et al. 2016, V-Net).

    Channel by channel, by the quantiles of both whole cases, straight between them: a patch of background
    becomes the other case's background.

    Attributes:
        probability: of doing so at all.
    """

    probability: float

    def __call__(
        self,
        image: np.ndarray,
        own: Sequence[Intensities],
        other: Sequence[Intensities],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return the matched image (C, *P) float32, or the image as it is.

        Args:
            image: as decoded.
            own: statistics of each channel of its case.
            other: those of the other case.
            rng: is drawn from.
        """
        if rng.random() >= self.probability:
            return image
        matched = np.empty(image.shape, np.float32)
        for channel, result, mine, theirs in zip(image, matched, own, other, strict=True):
            # Where a value fills several quantiles, such as the black around a scan, the lowest counts.
            values, first = np.unique(mine.quantiles, return_index=True)
            result[...] = np.interp(channel, values, np.asarray(theirs.quantiles)[first])
        return matched


def _hue(rgb: np.ndarray, high: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The hue in sixths of a turn, (*P); 0 where there is no colour."""
    red, green, blue = rgb
    divisor = np.where(spread > 0, spread, 1)
    return np.asarray(
        np.where(
            high == red,
            (green - blue) / divisor,
            np.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
        )
    )


def _white_of_case(dtype: np.dtype, channels: Sequence[Intensities]) -> float:
    return white_of(dtype, max(channel.maximum for channel in channels))


def _white(white: float | None, image: np.ndarray) -> float:
    return white_of(image.dtype, float(image.max())) if white is None else white


def _check_rgb(channels: np.ndarray | Sequence[Intensities], what: str) -> None:
    if len(channels) != 3:
        raise UserError(
            f"augmentation.colour: {what} needs images with the channels red, green and blue; these have"
            f" {len(channels)} channels: choose another augmentation"
        )
