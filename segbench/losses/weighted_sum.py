"""Several losses of the same logits and target as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import torch
from torch import Tensor, nn


class Term(TypedDict):
    """One loss and what it is multiplied by."""

    loss: nn.Module
    weight: float


class WeightedSum(nn.Module):
    """sum_i w_i L_i."""

    def __init__(self, terms: Mapping[str, Term]) -> None:
        """Args: terms: name -> loss and weight."""
        super().__init__()
        self.losses = nn.ModuleDict({name: term["loss"] for name, term in terms.items()})
        self.weights = {name: term["weight"] for name, term in terms.items()}

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (B, K, *P).
            target: (B, *P), as the losses take it.
        """
        parts = [self.weights[name] * loss(logits, target) for name, loss in self.losses.items()]
        return torch.stack(parts).sum()
