"""Raw intensities -> float32 for the network, by the case's own statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from segbench.data.store import Intensities

Normalize = Callable[[np.ndarray, Sequence[Intensities]], np.ndarray]
"""(C, *P) raw, and the statistics of each channel of the whole case -> (C, *P) float32."""


def zscore(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Mean 0 and standard deviation 1 per channel of the case."""
    return _scale(image, [one.mean for one in channels], [one.std for one in channels])


def percentile(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """Clipped to the 0.5 and 99.5 percentiles of each channel of the case, then scaled to [-1, 1]."""
    low = [one.percentile_00_5 for one in channels]
    high = [one.percentile_99_5 for one in channels]
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    half = [(b - a) / 2 for a, b in zip(low, high, strict=True)]
    scaled = _scale(image, middle, half)
    return scaled.clip(-1.0, 1.0, out=scaled)


def none(image: np.ndarray, channels: Sequence[Intensities]) -> np.ndarray:
    """As they are."""
    return image.astype(np.float32)


NORMALIZATIONS: dict[str, Normalize] = {
    "zscore": zscore,
    "percentile": percentile,
    "none": none,
}


def _scale(image: np.ndarray, centre: list[float], width: list[float]) -> np.ndarray:
    shape = (-1, *(1,) * (image.ndim - 1))
    # A constant channel has no width: it becomes 0.
    factor = np.array([1 / w if w > 0 else 0.0 for w in width], dtype=np.float32)
    scaled: np.ndarray = np.subtract(image, np.array(centre, dtype=np.float32).reshape(shape), dtype=np.float32)
    scaled *= factor.reshape(shape)
    return scaled
