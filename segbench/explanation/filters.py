"""The filters of a layer that a decision rests on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import ttest_ind
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segbench.explanation.heat import weights
from segbench.explanation.layers import Response, without_filter


class Filter(NamedTuple):
    """A filter of a layer.

    Attributes:
        number: which.
        weight: |alpha_k times the mean of its activations in the region|.
        drop: of the Dice of the prediction when the filter is 0.
        difference: Welch's t of its activations in the region against those outside; NaN where one has fewer than two.
    """

    number: int
    weight: float
    drop: float
    difference: float


def responsible_filters(
    layer: nn.Module, found: Response, region: Tensor, dice: Callable[[], float], most: int = 5
) -> list[Filter]:
    """The filters with the largest weights, and what becomes of the prediction without each.

    Args:
        layer: whose filters they are.
        found: its answer to the image.
        region: (*S) bool, of the image, which the decision is about.
        dice: predicts again and returns the Dice of the class.
        most: filters, each of which costs a forward pass.
    """
    inside = interpolate(region[None, None].float(), size=found.features.shape[1:], mode="nearest-exact")[0, 0] > 0
    if not inside.any():  # smaller than a position of the layer
        inside = interpolate(region[None, None].float(), size=found.features.shape[1:], mode="area")[0, 0] > 0
    activations = found.features.flatten(1)
    within = activations[:, inside.flatten()]
    score = (weights(found) * within.mean(1)).abs()
    before = dice()
    filters = []
    for index in torch.argsort(score, descending=True, stable=True)[:most].tolist():
        with without_filter(layer, index):
            drop = before - dice()
        outside = activations[index, ~inside.flatten()]
        difference = _welch(within[index].cpu().numpy(), outside.cpu().numpy())
        filters.append(Filter(index, float(score[index]), drop, difference))
    return filters


def _welch(inside: np.ndarray, outside: np.ndarray) -> float:
    """Welch's t; NaN where one of the two has fewer than two values."""
    if min(len(inside), len(outside)) < 2:
        return float("nan")
    return float(ttest_ind(inside, outside, equal_var=False).statistic)
