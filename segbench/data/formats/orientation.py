"""Images as viewers show them: turned and mirrored as EXIF's or TIFF's orientation says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segbench.data.formats.reader import Decoded


def shown(decoded: Decoded) -> Decoded:
    """Turn a decoded file as its orientation says, the last two axes of the array and of the spacing.

    Source: EXIF 2.32, tag 0x0112.
    """
    array, spacing = decoded.array, decoded.spacing
    if decoded.orientation >= 5:  # rows and columns change places
        array = np.swapaxes(array, -1, -2)
        spacing = spacing and (*spacing[:-2], spacing[-1], spacing[-2])
    if decoded.orientation in (3, 4, 7, 8):
        array = np.flip(array, -2)
    if decoded.orientation in (2, 3, 6, 7):
        array = np.flip(array, -1)
    return replace(decoded, array=np.ascontiguousarray(array), spacing=spacing, orientation=1)
