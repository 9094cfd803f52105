"""Targets: functions from a sample to the array that a head learns.

A target function takes a `Sample` and returns the array that the head's loss expects; the weights of pixels are
made by such a function, too. It runs in the loader's workers. Pixels whose label is 255 (`IGNORE`) count in no
target of classes and have the weight 0, also where an array knows better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from segbench.data.case import IGNORE
from segbench.data.labels.region_classes import RegionClasses, region_masks
from segbench.data.sample import Sample
from segbench.errors import UserError

Target = Callable[[Sample], np.ndarray]


def mask(sample: Sample) -> np.ndarray:
    """The class of each pixel: (*P) int64, 255 = ignore."""
    return sample.label.astype(np.int64)


def centre(sample: Sample) -> np.ndarray:
    """The class of the patch's central pixel, of index (P - 1) // 2: one pixel (1, .., 1) int64, 255 = ignore."""
    middle = tuple(slice((length - 1) // 2, (length - 1) // 2 + 1) for length in sample.label.shape)
    return sample.label[middle].astype(np.int64)


@dataclass(frozen=True)
class Regions:
    """Overlapping regions, each the union of some classes.

    Attributes:
        classes: of each region, by its name.
        gives_regions: true: a loss has to take masks that overlap.
    """

    classes: RegionClasses
    gives_regions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.classes:
            raise UserError(
                "task=regions: the data set has no regions; name them in data.regions, such as"
                " 'data.regions={whole: [round, spindle], core: [spindle]}'"
            )

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the masks of the regions: (R, *P) uint8 of 0 and 1, 255 = ignore."""
        masks = region_masks(sample.label, self.classes).astype(np.uint8)
        masks[:, sample.label == IGNORE] = IGNORE
        return masks


def original(sample: Sample) -> np.ndarray:
    """The image before its colours and intensities were changed: (C, *P) float32."""
    return sample.original


@dataclass(frozen=True)
class ArrayLabel:
    """The classes of another label map, such as a second annotator's.

    Attributes:
        array: its name.
    """

    array: str

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the class of each pixel: (*P) int64, 255 = ignore.

        Raises:
            UserError: where there is no such array.
        """
        classes = array_of(sample, self.array).astype(np.int64)
        classes[sample.label == IGNORE] = IGNORE
        return classes


@dataclass(frozen=True)
class ArrayWeight:
    """Weights of pixels that are an array of the data set.

    Attributes:
        array: its name. Its values are at least 0; only their ratios matter.
    """

    array: str

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the weight of each pixel: (*P) float32, 0 where it is ignored.

        Raises:
            UserError: where there is no such array, or it has values below 0.
        """
        weight = array_of(sample, self.array).astype(np.float32)
        if weight.min(initial=0) < 0:
            raise UserError(f"the array {self.array!r} has values below 0, such as {weight.min()}: no weights")
        weight[sample.label == IGNORE] = 0
        return weight


def array_of(sample: Sample, name: str) -> np.ndarray:
    """Return an array (*P) of a sample.

    Raises:
        UserError: where there is none of that name, or it has channels.
    """
    if name not in sample.arrays:
        known = f"there are {', '.join(sample.arrays)}" if len(sample.arrays) else "it has none"
        raise UserError(f"task: the data set has no array {name!r}, {known}; declare it, as in data.dataset.arrays")
    array = sample.arrays[name]
    if array.shape != sample.label.shape:
        raise UserError(f"task: the array {name!r} has {len(array)} channels; one value per pixel is expected")
    return array
