"""The input of a network: the normalised image of a case, and the arrays that are added to it as channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from segbench.data.arrays import ArraySpec
from segbench.data.normalize import Normalize
from segbench.data.store import StoredCase


@dataclass(frozen=True)
class NetworkInput:
    """The same in training, validation and test.

    Attributes:
        normalize: brings raw intensities to float32.
        arrays: those that follow the image as channels, in this order: quantities as they are, label maps as one
            channel per class, which is 1 where the class is and 0 elsewhere.
    """

    normalize: Normalize
    arrays: Mapping[str, ArraySpec] = field(default_factory=dict)

    def channels(self, of_image: int) -> int:
        """Return the channels that a network sees."""
        return of_image + sum(spec.inputs for spec in self.arrays.values())

    def of_case(self, case: StoredCase) -> np.ndarray:
        """Return what is seen of a whole case: (channels, *S) float32."""
        return self.extended(self.normalize(np.asarray(case.image), case.meta.intensities), case.arrays)

    def extended(self, image: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return an image (C, *P), normalised, with the arrays behind it: (channels, *P) float32."""
        if not self.arrays:
            return image
        return np.concatenate([image, *(_channels(arrays[name], spec) for name, spec in self.arrays.items())])


def _channels(array: np.ndarray, spec: ArraySpec) -> np.ndarray:
    """An array (*P) or (C, *P) as (channels, *P) float32."""
    if spec.classes is not None:
        each = np.arange(spec.classes).reshape(-1, *(1,) * array.ndim)
        return np.asarray(array == each, dtype=np.float32)
    return np.asarray(array if spec.channels is not None else array[None], dtype=np.float32)
