"""Losses of segmentation-models-pytorch, with ignored pixels as all losses here have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class FromSmp(nn.Module):
    """A multiclass loss of the library; an empty one, as Lovasz' is for ignored pixels only, is 0."""

    def __init__(self, loss: Callable[..., nn.Module], **settings: Any) -> None:
        """Build the loss.

        Args:
            loss: the library's class.
            settings: its own arguments.
        """
        super().__init__()
        self.loss = loss(mode="multiclass", **settings)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (B, K, *P).
            target: (B, *P) int64 class indices.
        """
        loss: Tensor = self.loss(logits, target)
        return loss.sum()
