"""Images as viewers show them: turned and mirrored as EXIF's or TIFF's orientation says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segbench.data.formats.reader import Decoded


def shown(decoded: Decoded) -> Decoded:
    """Turn a decoded file as its orientation says, the last two axes of the array and of the spacing.

    Source: EXIF 2.32, tag 0x0112.
    """
    spacing = decoded.spacing
    if decoded.orientation >= 5:  # rows and columns change places
        spacing = spacing and (*spacing[:-2], spacing[-1], spacing[-2])
    alpha = None if decoded.alpha is None else _turned(decoded.alpha, decoded.orientation)
    return replace(
        decoded, array=_turned(decoded.array, decoded.orientation), alpha=alpha, spacing=spacing, orientation=1
    )


def _turned(array: np.ndarray, orientation: int) -> np.ndarray:
    if orientation >= 5:
        array = np.swapaxes(array, -1, -2)
    if orientation in (3, 4, 7, 8):
        array = np.flip(array, -2)
    if orientation in (2, 3, 6, 7):
        array = np.flip(array, -1)
    return np.ascontiguousarray(array)
