"""A sample: all that a target, or a weight of pixels, can be made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One training patch of size P, after augmentation.

    Attributes:
        image: (C, *P) float32, normalised, after all augmentation. Arrays that enter the network are not part of it.
        label: (*P) uint8, class index per pixel, 255 = ignore: so is whatever lies beyond the image.
        instances: (*P) int32, 0 = background, or None where the data set has no objects.
        spacing: size of a pixel along each axis.
        arrays: the case's extra arrays by name, (*P) or (C, *P), transformed as image and label are. Each is
            cut out when it is first asked for.
        make_original: makes `original`; None: it is the image itself.
    """

    image: np.ndarray
    label: np.ndarray
    instances: np.ndarray | None = None
    spacing: Sequence[float] = ()
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    make_original: Callable[[], np.ndarray] | None = None

    @cached_property
    def original(self) -> np.ndarray:
        """(C, *P) float32: the image turned and bent alike, normalised, its colours and intensities unchanged.

        Made when it is first asked for.
        """
        return self.image if self.make_original is None else self.make_original()
