"""Raw intensities -> float32 for the network, by the case's own statistics or by fixed numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segbench.data.case_meta import Intensities
from segbench.errors import UserError

Normalize = Callable[[np.ndarray, Sequence[Intensities]], np.ndarray]
"""(C, *P) raw, and the statistics of each channel of the whole case -> (C, *P) float32."""

_IMAGENET = {3: ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), 1: ([0.449], [0.226])}
"""Mean and standard deviation of each channel from 0 to 1, as torchvision's weights were trained; grey: their mean."""


def zscore(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Mean 0 and standard deviation 1 per channel of the case."""
    return _scale(image, [channel.mean for channel in channels], [channel.std for channel in channels])


def percentile(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Clipped to the 0.5 and 99.5 percentiles of each channel of the case, then scaled to [-1, 1]."""
    low = [channel.percentile_00_5 for channel in channels]
    high = [channel.percentile_99_5 for channel in channels]
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    half = [(b - a) / 2 for a, b in zip(low, high, strict=True)]
    scaled = _scale(image, middle, half)
    return scaled.clip(-1.0, 1.0, out=scaled)


def unit(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Values of 8 bits divided by 255: from 0 to 1, with no mean taken off.

    Raises:
        UserError: where values are larger.
    """
    _check_8_bits(channels, "unit")
    return _scale(image, [0.0] * len(image), [255.0] * len(image))


def imagenet(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Values of 8 bits as weights trained on ImageNet saw theirs: by its means and standard deviations.

    Raises:
        UserError: where the image is neither RGB nor grey, or values are larger.
    """
    if len(image) not in _IMAGENET:
        raise UserError(
            f"data.normalize=imagenet is for 3 channels (RGB) or 1 (grey), not for {len(image)}: use zscore"
        )
    _check_8_bits(channels, "imagenet")
    mean, std = _IMAGENET[len(image)]
    return _scale(image, [255 * value for value in mean], [255 * value for value in std])


def none(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """The raw intensities, unchanged."""
    return image.astype(np.float32)


NORMALIZATIONS: dict[str, Normalize] = {
    "zscore": zscore,
    "percentile": percentile,
    "unit": unit,
    "imagenet": imagenet,
    "none": none,
}


def _check_8_bits(channels: Sequence[Intensities], name: str) -> None:
    largest = max(channel.percentile_99_5 for channel in channels)
    if largest > 255:
        raise UserError(f"data.normalize={name} is for values of 8 bits, up to 255, not {largest:g}")


def _scale(image: np.ndarray, centre: list[float], width: list[float]) -> np.ndarray:
    shape = (-1, *(1,) * (image.ndim - 1))
    # A constant channel has no width: it becomes 0.
    factor = np.array([1 / w if w > 0 else 0.0 for w in width], dtype=np.float32)
    scaled: np.ndarray = np.subtract(image, np.array(centre, dtype=np.float32).reshape(shape), dtype=np.float32)
    scaled *= factor.reshape(shape)
    return scaled
