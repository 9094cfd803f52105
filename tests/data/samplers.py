"""Samplers of patches from cases in memory."""

from typing import Any

import numpy as np

from segbench.data import normalize
from segbench.data.augmentations.elastic import ControlPoints
from segbench.data.augmentations.pipeline import Augmentation
from segbench.data.augmentations.spatial import Spatial
from segbench.data.patches import PatchSampler, read_patch
from segbench.data.placement import InsideImage, TrainingCases
from segbench.data.targets import mask
from tests.data.arrays import ArrayCase, Cases

EVERYTHING = Spatial(0.5, 180, 0.5, (0.6, 1.6), 0.5, 0.4, 0.5, elastic=ControlPoints(3), elastic_probability=0.5)
"""Mirrored, turned, scaled, shifted and bent, each in every other patch or so."""


def sampler(cases: list[ArrayCase], patch: tuple[int, ...], **changes: Any) -> PatchSampler:
    ids = [case.id for case in cases]
    background, seed = changes.pop("background", 0), changes.pop("seed", 0)
    values: dict[str, Any] = {
        "cases": TrainingCases(Cases({case.id: case for case in cases}), ids, background, seed),
        "patch_size": patch,
        "placement": InsideImage(changes.pop("foreground", 0.33)),
        "augmentation": Augmentation(),
        "targets": {"mask": mask},
        "normalize": normalize.none,
    }
    return PatchSampler(**(values | changes))


def read(*arguments: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Image, label and instances of a patch; arguments as of `read_patch`."""
    sample = read_patch(*arguments)
    return sample.image, sample.label, sample.instances
