"""Cross entropy, plain and with weighted classes, and binary cross entropy of each class against the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.data.case import IGNORE
from segbench.data.class_balance import inverse_frequency, median_frequency
from segbench.errors import UserError
from segbench.losses.pixel_weight import weighted_mean
from segbench.losses.regions import are_regions, binary_cross_entropy


class CrossEntropy(nn.Module):
    """Mean of -ln p of the pixel's class over the pixels that are not ignored.

    `torch.nn.CrossEntropyLoss` is the same but for a batch of ignored pixels only, where it is NaN and
    here 0, and for pixels of different weight, which it does not know. Classes that the batch lacks play no part.
    Of overlapping regions it is the binary cross entropy of each.
    """

    takes_regions: ClassVar[bool] = True

    def __init__(self, ignore_index: int = IGNORE) -> None:
        """Args: ignore_index: value of the target's ignored pixels."""
        super().__init__()
        self.ignore_index = ignore_index
        self.weights: Tensor | None
        self.register_buffer("weights", None, persistent=False)

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar: the weighted mean over pixels, divided by the sum of the weights.

        Args:
            logits: (B, K, *P).
            target: (B, *P) int64 class indices, or (B, K, *P), the masks of regions.
            weight: (B, *P) of each pixel, at least 0, besides the weight of its class; None: all 1.
        """
        if are_regions(logits, target):
            return binary_cross_entropy(logits, target, self.ignore_index, weight)
        values = F.cross_entropy(logits, target, ignore_index=self.ignore_index, reduction="none")
        kept = target != self.ignore_index
        weights = kept.to(logits.dtype)
        if self.weights is not None:
            weights = self.weights.to(logits.dtype)[target.where(kept, 0)] * weights
        return weighted_mean(values, weights if weight is None else weights * weight)


class WeightedCrossEntropy(CrossEntropy):
    """Cross entropy with every class weighted by how rare it is.

    The weighted sum is divided by the sum of the pixels' weights, as in torch, so that only the weights'
    ratios matter.
    """

    takes_regions = False

    def __init__(
        self,
        class_frequencies: Sequence[float] | None = None,
        class_frequencies_where_present: Sequence[float] | None = None,
        balance: str = "inverse",
        ignore_index: int = IGNORE,
    ) -> None:
        """Compute the weights.

        Args:
            class_frequencies: for "inverse", see `inverse_frequency`.
            class_frequencies_where_present: for "median", see `median_frequency`.
            balance: "inverse" or "median".
            ignore_index: value of the target's ignored pixels.

        Raises:
            UserError: where a class has no pixels at all, or `balance` is neither.
        """
        super().__init__(ignore_index)
        known = {
            "inverse": (inverse_frequency, class_frequencies),
            "median": (median_frequency, class_frequencies_where_present),
        }
        if balance not in known:
            raise UserError(f"loss.balance={balance}: must be one of {', '.join(known)}")
        weigh, frequencies = known[balance]
        if frequencies is None:
            raise UserError(f"loss.balance={balance}: the class frequencies that it needs are not given")
        # Measured anew for every run, hence no part of its weights.
        self.register_buffer("weights", torch.tensor(weigh(frequencies), dtype=torch.float32), persistent=False)


class BinaryCrossEntropy(nn.Module):
    """Mean over pixels and classes of -g ln p - (1 - g) ln(1 - p), with p the sigmoid of the class's own logit.

    Each class is told from all others by itself, so that probabilities need not sum to 1; the class of the
    largest logit is that of the largest probability still. With the logits -z and z of two classes it
    is the binary cross entropy of one channel z. A class that the batch lacks is learnt to be absent.
    """

    takes_regions: ClassVar[bool] = True

    def __init__(self, ignore_index: int = IGNORE) -> None:
        """Args: ignore_index: value of the target's ignored pixels."""
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss, a scalar: the weighted mean over pixels, of the arguments that `CrossEntropy` takes."""
        if are_regions(logits, target):
            return binary_cross_entropy(logits, target, self.ignore_index, weight)
        kept = target != self.ignore_index
        classes = target.where(kept, 0).unsqueeze(1)
        reference = torch.zeros_like(logits).scatter(1, classes, 1)
        values = F.binary_cross_entropy_with_logits(logits, reference, reduction="none").mean(dim=1)
        return weighted_mean(values, kept if weight is None else kept * weight)
