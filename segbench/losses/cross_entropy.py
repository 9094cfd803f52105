"""Cross entropy, plain and with weighted classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.data.case import IGNORE
from segbench.errors import UserError


class CrossEntropy(nn.Module):
    """Mean of -log p of the pixel's class over the pixels that are not ignored.

    `torch.nn.CrossEntropyLoss` is the same but for a batch of ignored pixels only, where it is NaN; here
    it is 0.
    """

    def __init__(self, ignore_index: int = IGNORE) -> None:
        """Args: ignore_index: value of the target's ignored pixels."""
        super().__init__()
        self.ignore_index = ignore_index
        self.weights: Tensor | None
        self.register_buffer("weights", None, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (B, K, *P).
            target: (B, *P) int64 class indices.
        """
        total = F.cross_entropy(logits, target, weight=self.weights, ignore_index=self.ignore_index, reduction="sum")
        kept = target != self.ignore_index
        weights = kept if self.weights is None else self.weights[target.where(kept, 0)] * kept
        return total / weights.sum().clamp_min(torch.finfo(logits.dtype).tiny)


class WeightedCrossEntropy(CrossEntropy):
    """Cross entropy with every class weighted by its inverse frequency, w_c = N / (C n_c).

    The weighted sum is divided by the sum of the pixels' weights, as in torch, so that only the weights'
    ratios matter.
    """

    def __init__(self, class_frequencies: Sequence[float], ignore_index: int = IGNORE) -> None:
        """Computes the weights.

        Args:
            class_frequencies: n_c / N for each class: its share of the labelled pixels of the training
                cases. Counts of pixels do as well.
            ignore_index: value of the target's ignored pixels.

        Raises:
            UserError: where a class has no pixels at all.
        """
        super().__init__(ignore_index)
        shares = torch.tensor(list(class_frequencies), dtype=torch.float64)
        empty = [str(c) for c, share in enumerate(shares) if share <= 0]
        if empty:
            raise UserError(
                f"loss.class_frequencies: no training case has the class {', '.join(empty)}, hence no "
                "inverse frequency; choose another loss"
            )
        weights = shares.sum() / (len(shares) * shares)
        # Measured anew for every run, hence no part of its weights.
        self.register_buffer("weights", weights.float(), persistent=False)
