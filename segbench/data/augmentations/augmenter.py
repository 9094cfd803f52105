"""The contract of augmentation: from a place in a training case to a patch, changed at random.

Two engines keep it: `pipeline` for images and volumes, `albumentations_engine` for any pipeline of albumentations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from segbench.data.normalize import Normalize
from segbench.data.placement import TrainingCases
from segbench.data.sample import Sample
from segbench.data.store import StoredCase


@dataclass(frozen=True)
class Place:
    """The place of a training patch.

    Attributes:
        case: the case that it is cut from.
        start: the patch's first pixel in it, (D,); may lie outside the image.
        size: (P_1, .., P_D) in pixels.
        pins_centre: whether the patch's central pixel, (P - 1) // 2, must stay where it is.
    """

    case: StoredCase
    start: np.ndarray
    size: Sequence[int]
    pins_centre: bool = False


@runtime_checkable
class Augmenter(Protocol):
    """An engine that makes the patch of a place."""

    def check(self, case: StoredCase, patch_size: Sequence[int]) -> None:
        """Check, before training, that it suits the data.

        Args:
            case: a training case.
            patch_size: (P_1, .., P_D) in pixels.

        Raises:
            UserError: where it does not.
        """

    def patch(self, place: Place, cases: TrainingCases, normalize: Normalize, rng: np.random.Generator) -> Sample:
        """Return the patch. A function of the arguments alone, whatever was made before.

        Label, instances and extra arrays are transformed as the image is.

        What lies beyond the image is the mirrored image, with the label 255 (ignore) and no instances; arrays are
        mirrored, too. They and the original image are made only where a target asks for them.

        Args:
            place: where it is cut.
            cases: all training cases.
            normalize: brings raw intensities to float32.
            rng: is drawn from.
        """
