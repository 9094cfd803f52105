"""MONAI's losses, with the target that all losses here take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class FromMonai(nn.Module):
    """Any of MONAI's segmentation losses: adds the channel axis that it expects of the target."""

    def __init__(self, loss: Callable[..., nn.Module], **settings: Any) -> None:
        """Builds the loss.

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
