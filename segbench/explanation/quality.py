"""Numbers that compare explanations of one decision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def deletion_and_insertion(
    heat: Tensor, image: Tensor, score: Callable[[Tensor], float], steps: int = 10
) -> tuple[float, float]:
    """The areas under two curves (Petsiuk, Das, Saenko 2018): smaller is better of deletion, larger of insertion.

    Deletion takes the hottest pixels away first, a tenth at a time; insertion puts them into an image that has only its
    means. The score is divided by that of the whole image.

    Args:
        heat: (*S).
        image: (1, C, *S).
        score: of an image, such as the mean probability of the class in a region.
        steps: of each curve.
    """
    mean = image.mean(dim=tuple(range(2, image.ndim)), keepdim=True).expand_as(image)
    order = torch.argsort(heat.flatten(), descending=True, stable=True)
    whole = score(image)
    curves = []
    for start, end in ((image, mean), (mean, image)):
        values = []
        for step in range(steps + 1):
            changed = start.clone().flatten(2)
            places = order[: round(step / steps * len(order))]
            changed[:, :, places] = end.flatten(2)[:, :, places]
            values.append(score(changed.reshape(image.shape)))
        curves.append(float(np.trapezoid(values, dx=1 / steps) / whole) if whole else float("nan"))
    return curves[0], curves[1]


def points_into(heat: Tensor, region: Tensor) -> bool:
    """Return whether the hottest pixel is in a region (*S): the pointing game (Zhang et al. 2018)."""
    return bool(region.flatten()[heat.flatten().argmax()])
