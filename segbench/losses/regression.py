"""Losses of values, such as a restored image: the mean over pixels and channels of a distance."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import UserError

_DISTANCES = {"l1": F.l1_loss, "mse": F.mse_loss, "smooth_l1": F.smooth_l1_loss}


class ValueLoss(nn.Module):
    """Mean over pixels and channels of the distance between an output and its target, both as they are.

    A target of NaN is ignored; where all are, the loss is 0. Of an image every pixel counts, also where the label is
    ignored.
    """

    def __init__(self, distance: str) -> None:
        """Keep the distance.

        Args:
            distance: l1, |a - b|; mse, (a - b)^2; or smooth_l1 (Girshick 2015), quadratic up to 1.

        Raises:
            UserError: where it is none of them.
        """
        super().__init__()
        if distance not in _DISTANCES:
            raise UserError(f"loss.distance={distance}: must be one of {', '.join(_DISTANCES)}")
        self.distance = distance

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            outputs: (B, K, *P).
            target: (B, K, *P), of floats.

        Raises:
            UserError: where the target is something else, such as classes.
        """
        if target.shape != outputs.shape or not target.is_floating_point():
            raise UserError(
                f"loss.distance={self.distance} compares values, such as those of an image, with as many outputs; the"
                f" target is {tuple(target.shape[1:])} of {target.dtype}, the output {tuple(outputs.shape[1:])}"
            )
        known = ~target.isnan()
        values = _DISTANCES[self.distance](outputs, torch.where(known, target, outputs.detach()), reduction="sum")
        return values / known.sum().clamp_min(1)
