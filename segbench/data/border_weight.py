"""Weights of pixels that make a network learn the gaps between touching objects (U-Net)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from segbench.data.case import IGNORE
from segbench.data.class_balance import inverse_frequency
from segbench.data.labels.object_remarks import LOOKED_AT, touching_objects
from segbench.data.sample import Sample
from segbench.data.store import CaseStore
from segbench.errors import UserError

REACH = 5.0
"""The reach of objects, in sigmas: what lies beyond would add less than w0 exp(-REACH^2 / 2) to a weight."""


@dataclass(frozen=True)
class BorderWeight:
    """w = w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)) (Ronneberger, Fischer and Brox, MICCAI 2015, equation 2).

    d1 and d2 are the distances to the nearest and the second nearest object, 0 inside it; with spacing they
    are in units of the finest axis, in pixels where all axes are alike. A pixel with fewer than two objects
    near it has w_c alone. Where d2 is above `REACH` sigma the second term may be left out, which is at most
    w0 exp(-12.5) = 3.7e-6 w0; everywhere else it is exact. Ignored pixels have the weight 0.

    Attributes:
        w0: weight of a pixel that touches two objects, above that of its class.
        sigma: in pixels, how quickly this falls off.
        background_only: whether pixels inside objects keep w_c; else those near another object have more, too.
        class_frequencies: share of each class in the training cases, whose inverse is w_c; None: w_c = 1.

    Raises:
        UserError: where w0 is below 0, sigma not above 0, or a class has no pixels.
    """

    needs_instances: ClassVar[bool] = True

    w0: float = 10.0
    sigma: float = 5.0
    background_only: bool = True
    class_frequencies: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.w0 < 0:
            raise UserError(f"task.weight.w0={self.w0}: must be at least 0")
        if self.sigma <= 0:
            raise UserError(f"task.weight.sigma={self.sigma}: must be above 0")
        if self.class_frequencies is not None:
            inverse_frequency(self.class_frequencies)

    def remark(self, store: CaseStore, cases: Sequence[str]) -> str | None:
        """The remark that objects touch without the gap that is weighted; None where they do not.

        Args:
            store: of the data set.
            cases: the training cases.
        """
        touching = touching_objects(store, cases) if self.background_only and self.w0 else []
        if not touching:
            return None
        return (
            f"task.weight: in {len(touching)} of {min(len(cases), LOOKED_AT)} cases objects touch without background"
            " between them, and where they touch nothing is weighted up; task.weight.background_only=false also weighs"
            " the pixels inside objects that are near another one"
        )

    def __call__(self, sample: Sample) -> np.ndarray:
        """The weight of each pixel: (*P) float32, from the sample's label, instances and spacing.

        Raises:
            UserError: where there are no instances.
        """
        label, instances, spacing = sample.label, sample.instances, sample.spacing
        if instances is None:
            raise UserError("task.weight: border weights need objects, and this data set has none")
        scale = np.asarray(spacing, dtype=float) / min(spacing)
        nearest, second = two_distances(instances, scale, REACH * self.sigma)
        weight: np.ndarray = np.zeros(label.shape, np.float32)
        felt = np.isfinite(second)
        if self.background_only:
            felt &= instances == 0
        weight[felt] = self.w0 * np.exp(-((nearest[felt] + second[felt]) ** 2) / (2 * self.sigma**2))
        if self.class_frequencies is None:
            weight += 1
        else:
            balance = np.zeros(IGNORE + 1, np.float32)
            balance[: len(self.class_frequencies)] = inverse_frequency(self.class_frequencies)
            weight += balance[label]
        weight[label == IGNORE] = 0
        return weight


def two_distances(instances: np.ndarray, scale: Sequence[float] | np.ndarray, reach: float) -> tuple[np.ndarray, ...]:
    """Distances to the nearest and the second nearest object, infinite where there is none within `reach`.

    Every object's distances are computed in its bounding box grown by `reach` only. Distances up to
    `reach` are exact; larger ones may be missing.

    Args:
        instances: (*P) integers, 0 = no object.
        scale: length of a pixel along each axis.
        reach: in the unit of `scale`.

    Returns:
        Two arrays (*P) float32.
    """
    if instances.max(initial=0) > instances.size:  # boxes are listed up to the largest number
        instances = np.unique(np.append(instances, 0), return_inverse=True)[1][:-1].reshape(instances.shape)
    margins = [int(np.ceil(reach / length)) for length in scale]
    nearest, second = (np.full(instances.shape, np.inf, np.float32) for _ in range(2))
    for number, box in enumerate(find_objects(instances), start=1):
        if box is None:
            continue
        grown = tuple(slice(max(along.start - by, 0), along.stop + by) for along, by in zip(box, margins, strict=True))
        distance = distance_transform_edt(instances[grown] != number, sampling=scale).astype(np.float32)
        first, other = nearest[grown], second[grown]
        np.minimum(other, np.maximum(first, distance), out=other)
        np.minimum(first, distance, out=first)
    return nearest, second
