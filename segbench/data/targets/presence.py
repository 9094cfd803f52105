"""The classes that a patch has: a target of one value per image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from segbench.data.case import IGNORE
from segbench.data.sample import Sample


@dataclass(frozen=True)
class Presence:
    """Of each class whether a patch has it: for a head with `per_image: true` and a loss that takes regions.

    Attributes:
        classes: how many there are.
        least: a class with fewer pixels is not there.
        gives_regions: true: a loss has to take classes that do not exclude each other.
    """

    gives_regions: ClassVar[bool] = True

    classes: int
    least: int = 1

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return 1 for each class that is there: (K, 1, ..) uint8, 255 where all of the patch is ignored."""
        counts = np.bincount(sample.label.ravel(), minlength=IGNORE + 1)
        there = (counts[: self.classes] >= max(self.least, 1)).astype(np.uint8)
        if counts[IGNORE] == sample.label.size:
            there[:] = IGNORE
        return there.reshape(-1, *(1,) * sample.label.ndim)


@dataclass(frozen=True)
class Finding:
    """Of a patch whether it shows anything but class 0: for a head of values with `per_image: true`.

    Attributes:
        least: fewer pixels are nothing.
    """

    least: int = 1

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return 1 for what is so and 0 for what is not, of no and yes: (2, 1, ..) float32."""
        shown = np.count_nonzero((sample.label != 0) & (sample.label != IGNORE)) >= max(self.least, 1)
        return np.array([not shown, shown], np.float32).reshape(2, *(1,) * sample.label.ndim)
