"""The class with the largest logit; objects are connected regions of one class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import generate_binary_structure
from scipy.ndimage import label as connected_components
from torch import Tensor


class Argmax:
    """Largest logit per pixel.

    Attributes:
        connectivity: which neighbours connect an object: 1 = faces, 2 = also edges, ..
        minimum_size: smaller objects, in pixels, are left out of the instances.
        background: the class that forms no objects.
    """

    def __init__(self, connectivity: int = 1, minimum_size: int = 0, background: int | None = 0) -> None:
        self.connectivity = connectivity
        self.minimum_size = minimum_size
        self.background = background

    def label(self, outputs: Mapping[str, Tensor]) -> np.ndarray:
        """The class map (*S) uint8 of one case from its heads' logits (K, *S)."""
        return np.asarray(outputs["mask"].argmax(0).byte().cpu().numpy())

    def instances(self, outputs: Mapping[str, Tensor], label: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of one case, numbered from 1 over all classes."""
        structure = generate_binary_structure(label.ndim, min(self.connectivity, label.ndim))
        result = np.zeros(label.shape, dtype=np.int32)
        count = 0
        for value in np.unique(label):
            if value == self.background:
                continue
            regions, found = connected_components(label == value, structure)
            sizes = np.bincount(regions.ravel(), minlength=found + 1)
            kept = np.flatnonzero(sizes[1:] >= self.minimum_size) + 1
            number = np.zeros(found + 1, dtype=np.int32)
            number[kept] = np.arange(count + 1, count + 1 + len(kept))
            result += number[regions]
            count += len(kept)
        return result
