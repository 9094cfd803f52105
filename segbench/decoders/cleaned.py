"""Classes without their holes and without stray parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes, generate_binary_structure
from scipy.ndimage import label as connected_components

from segbench.decoders.argmax import Argmax
from segbench.errors import UserError


class Cleaned(Argmax):
    """The class with the largest logit; then the stray parts of all classes go, then their holes are filled.

    Attributes:
        largest: keep only the largest connected region of each class (nnU-Net, Isensee et al. 2021, where it helps
            on the validation cases); the others become background.
        smallest: regions of fewer pixels become background.
        fill_holes: background that a class encloses becomes that class.
    """

    def __init__(self, largest: bool = False, smallest: int = 0, fill_holes: bool = True, **others: Any) -> None:
        """Check the values.

        Args:
            largest: see above.
            smallest: see above.
            fill_holes: see above.
            **others: see `Argmax`.

        Raises:
            UserError: where the data set has no background that parts could become.
        """
        super().__init__(**others)
        if self.background is None:
            raise UserError("decoder=cleaned: the data set has no background class, which stray parts could become")
        self.largest = largest
        self.smallest = smallest
        self.fill_holes = fill_holes

    def finished(self, label: np.ndarray) -> np.ndarray:
        """The class map (*S) uint8 of a whole case, from the classes of its pixels."""
        background = self.background
        assert background is not None
        structure = generate_binary_structure(label.ndim, min(self.connectivity, label.ndim))
        classes = np.unique(label[label != background])
        for value in classes:
            regions, found = connected_components(label == value, structure)
            sizes = np.bincount(regions.ravel(), minlength=found + 1)[1:]
            kept = sizes >= (max(self.smallest, sizes.max()) if self.largest else self.smallest)
            label[~np.concatenate([[True], kept])[regions]] = background
        # Only now: a part that is gone leaves a hole in the class around it.
        for value in classes if self.fill_holes else ():
            label[binary_fill_holes(label == value) & (label == background)] = value
        return label
