"""Losses of overlapping regions: a pixel is in none, one or several of them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from segbench.losses.pixel_weight import weighted_mean


def takes_regions(loss: object) -> bool:
    """Return whether a loss can be called with a target of regions: it says so by its attribute `takes_regions`."""
    return bool(getattr(loss, "takes_regions", False))


def are_regions(logits: Tensor, target: Tensor) -> bool:
    """Return whether a target is (B, K, *P), a mask for each region, and not (B, *P), class indices."""
    return target.ndim == logits.ndim


def known_masks(logits: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """The masks of regions and where they are known: (B, K, *P) of 0 and 1 each, in the logits' type.

    Args:
        logits: (B, K, *P).
        target: (B, K, *P) of 0, 1 and `ignore_index`.
        ignore_index: value of ignored pixels, whose mask is 0.
    """
    kept = (target != ignore_index).to(logits.dtype)
    return target.to(logits.dtype) * kept, kept


def binary_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int, weight: Tensor | None) -> Tensor:
    """Mean over pixels and regions of -g ln p - (1 - g) ln(1 - p), with p the sigmoid of the region's logit.

    Args:
        logits: (B, K, *P).
        target: (B, K, *P) of 0, 1 and `ignore_index`.
        ignore_index: value of ignored pixels.
        weight: (B, *P) of each pixel; None: all 1. The mean is divided by the sum of the weights.
    """
    masks, kept = known_masks(logits, target, ignore_index)
    values = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return weighted_mean(values, kept if weight is None else kept * weight.unsqueeze(1))
