"""Targets: functions from a (transformed) label to the array that a head learns.

A target function takes the label (*P) uint8 with 255 = ignore, the instances (*P) int32 or None, and
the spacing; it returns the array that the head's loss expects. It runs in the loader's workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Target = Callable[[np.ndarray, np.ndarray | None, Sequence[float]], np.ndarray]


def mask(label: np.ndarray, instances: np.ndarray | None, spacing: Sequence[float]) -> np.ndarray:
    """The class of each pixel: (*P) int64, 255 = ignore."""
    return label.astype(np.int64)


def centre(label: np.ndarray, instances: np.ndarray | None, spacing: Sequence[float]) -> np.ndarray:
    """The class of the patch's central pixel, of index (P - 1) // 2: one pixel (1, .., 1) int64, 255 = ignore."""
    middle = tuple(slice((length - 1) // 2, (length - 1) // 2 + 1) for length in label.shape)
    return label[middle].astype(np.int64)
