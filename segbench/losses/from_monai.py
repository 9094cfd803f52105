"""MONAI's losses, with the target that all losses here take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from segbench.data.case import IGNORE
from segbench.losses.cross_entropy import weighted_mean


class FromMonai(nn.Module):
    """A segmentation loss of MONAI, with the channel axis that it expects of the target."""

    def __init__(self, loss: Callable[..., nn.Module], **settings: Any) -> None:
        """Build the loss.

        Args:
            loss: MONAI's class.
            settings: its own arguments.
        """
        super().__init__()
        self.loss = loss(**settings)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (B, K, *P).
            target: (B, *P) int64 class indices.
        """
        loss: Tensor = self.loss(logits, target.unsqueeze(1))
        return loss


class PixelwiseFromMonai(FromMonai):
    """One of MONAI's losses that are a sum over pixels, so that pixels can have weights."""

    def __init__(self, loss: Callable[..., nn.Module], ignore_index: int = IGNORE, **settings: Any) -> None:
        """Build the loss.

        Args:
            loss: MONAI's class; with `reduction="none"` it returns (B, K, *P).
            ignore_index: value of the target's ignored pixels.
            settings: its own arguments.
        """
        super().__init__(loss, ignore_index=ignore_index, reduction="none", **settings)
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar: the weighted mean over pixels, of the arguments that `CrossEntropy` takes."""
        kept = target != self.ignore_index
        values = self.loss(logits, target.unsqueeze(1)).sum(dim=1)
        return weighted_mean(values, kept if weight is None else kept * weight)
