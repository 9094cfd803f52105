"""Objects that touch are divided where they are narrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, generate_binary_structure
from scipy.ndimage import label as connected_components
from skimage.morphology import h_maxima
from skimage.segmentation import watershed
from torch import Tensor

from segbench.decoders.argmax import Argmax
from segbench.errors import UserError


class Watershed(Argmax):
    """The class with the largest logit; each class's mask is divided into objects by a watershed.

    It is the marker-controlled watershed of the distance to the mask's border (Beucher and Meyer 1993):
    every object has a peak of the distance that rises by h above the saddle to any higher one.

    Attributes:
        h: in pixels; a mask's parts are objects of their own where the half width of the neck between them is
            smaller than the half width of the smaller part by h or more.
        fill_holes: whether holes in an object belong to it.
    """

    def __init__(self, h: float = 1.0, fill_holes: bool = True, **others: Any) -> None:
        """Check the values.

        Args:
            h: above 0.
            fill_holes: see above.
            **others: see `Argmax`.

        Raises:
            UserError: where h is not above 0.
        """
        super().__init__(**others)
        if h <= 0:
            raise UserError(f"decoder.h={h}: must be above 0")
        self.h = h
        self.fill_holes = fill_holes

    def instances(self, outputs: Mapping[str, Tensor], label: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of one case, numbered from 1 over all classes."""
        result = np.zeros(label.shape, dtype=np.int32)
        count = 0
        for value in self.object_classes(label):
            mask = label == value
            if self.fill_holes:
                mask = binary_fill_holes(mask) & ((label == value) | (result == 0))
            parts = split(mask, self.h, self.connectivity)
            sizes = np.bincount(parts.ravel())
            kept = np.flatnonzero(sizes[1:] >= self.minimum_size) + 1
            number = np.zeros(len(sizes), dtype=np.int32)
            number[kept] = np.arange(count + 1, count + 1 + len(kept))
            result = np.where(number[parts] > 0, number[parts], result)
            count += len(kept)
        return result


def split(mask: np.ndarray, h: float, connectivity: int = 1) -> np.ndarray:
    """The parts of a mask (*S) bool, numbered from 1: (*S) int, 0 outside the mask."""
    structure = generate_binary_structure(mask.ndim, min(connectivity, mask.ndim))
    everywhere = generate_binary_structure(mask.ndim, mask.ndim)
    distance = distance_transform_edt(np.pad(mask, 1, mode="edge"))[(slice(1, -1),) * mask.ndim]
    markers, found = connected_components((h_maxima(distance, h) > 0) & mask, everywhere)
    regions, count = connected_components(mask, structure)
    # A region that is nowhere deeper than h has no peak: it is an object as a whole.
    alone = np.setdiff1d(np.arange(1, count + 1), regions[markers > 0])
    number = np.zeros(count + 1, dtype=markers.dtype)
    number[alone] = found + 1 + np.arange(len(alone))
    return np.asarray(watershed(-distance, np.maximum(markers, number[regions]), mask=mask, connectivity=structure))
