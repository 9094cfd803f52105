"""Several losses of the same logits and target as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.losses.pixel_weight import takes_weight
from segbench.losses.regions import takes_regions


class Term(TypedDict):
    """One loss and what it is multiplied by, 1 if not said."""

    loss: nn.Module
    weight: NotRequired[float]


class WeightedSum(nn.Module):
    """sum_i w_i L_i. Empty masks and ignored pixels are what they are to each of the losses.

    Attributes:
        takes_weight: whether one of the losses takes the pixels' weights.
        takes_regions: whether all of them take overlapping regions.
    """

    def __init__(self, terms: Mapping[str, Term] | None = None) -> None:
        """Keep the losses.

        Args:
            terms: name -> loss and weight.

        Raises:
            UserError: where there are none.
        """
        super().__init__()
        if not terms:
            raise UserError("loss.terms: a weighted sum has no terms; add one as +loss@loss.terms.dice.loss=dice")
        self.losses = nn.ModuleDict({name: term["loss"] for name, term in terms.items()})
        self.weights = {name: term.get("weight", 1.0) for name, term in terms.items()}
        self._weighted = {name for name, loss in self.losses.items() if takes_weight(loss)}
        self.takes_weight = bool(self._weighted)
        self.takes_regions = all(map(takes_regions, self.losses.values()))

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (B, K, *P).
            target: (B, *P), as the losses take it.
            weight: (B, *P) of each pixel, for those of the losses that take it; None: all 1.
        """
        parts = []
        for name, loss in self.losses.items():
            extra = (weight,) if name in self._weighted else ()
            parts.append(self.weights[name] * loss(logits, target, *extra))
        return torch.stack(parts).sum()
