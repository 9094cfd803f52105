"""MONAI's losses, with the target that all losses here take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from segbench.data.case import IGNORE
from segbench.losses.pixel_weight import weighted_mean
from segbench.losses.regions import are_regions, known_masks

_OF_CLASSES = ("softmax", "to_onehot_y", "include_background", "ignore_index")
"""Settings that only exclusive classes have."""


class FromMonai(nn.Module):
    """A segmentation loss of MONAI, with the channel axis that it expects of the target.

    Attributes:
        takes_regions: whether it takes overlapping regions: where it is made of sums over pixels of probabilities,
            which is where it has the setting `softmax`. Then their probabilities are sigmoids, and ignored pixels
            have the probability and the reference 0, which is to cut them out of the sums.
    """

    def __init__(self, loss: Callable[..., nn.Module], **settings: Any) -> None:
        """Build the loss.

        Args:
            loss: MONAI's class.
            settings: its own arguments.
        """
        super().__init__()
        self.loss = loss(**settings)
        self.takes_regions = "softmax" in settings
        others = {key: value for key, value in settings.items() if key not in _OF_CLASSES}
        self.loss_of_regions = loss(**others) if self.takes_regions else None
        self.ignored = settings.get("ignore_index", IGNORE)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (B, K, *P).
            target: (B, *P) int64 class indices, or (B, K, *P), the masks of regions.
        """
        loss: Tensor
        if are_regions(logits, target):
            assert self.loss_of_regions is not None
            masks, kept = known_masks(logits, target, self.ignored)
            loss = self.loss_of_regions(logits.sigmoid() * kept, masks)
            return loss
        loss = self.loss(logits, target.unsqueeze(1))
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
