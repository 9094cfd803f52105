"""Connected regions of classes: the objects of a label map that has none of its own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import generate_binary_structure
from scipy.ndimage import label as connected_components


def connected_regions(
    label: np.ndarray, classes: Iterable[int], connectivity: int = 1, minimum_size: int = 0
) -> np.ndarray:
    """Number the connected regions of each of some classes. Neighbours of different classes stay apart.

    Args:
        label: class index per pixel (*S).
        classes: the classes whose regions are objects; the others are background.
        connectivity: which neighbours connect: 1 = faces, 2 = also edges, ..
        minimum_size: smaller regions, in pixels, are background.

    Returns:
        (*S) int32: 1, 2, ... class by class, 0 = background.
    """
    structure = generate_binary_structure(label.ndim, min(connectivity, label.ndim))
    result = np.zeros(label.shape, dtype=np.int32)
    count = 0
    for value in classes:
        regions, found = connected_components(label == value, structure)
        sizes = np.bincount(regions.ravel(), minlength=found + 1)
        kept = np.flatnonzero(sizes[1:] >= minimum_size) + 1
        number = np.zeros(found + 1, dtype=np.int32)
        number[kept] = np.arange(count + 1, count + 1 + len(kept))
        result += number[regions]
        count += len(kept)
    return result
