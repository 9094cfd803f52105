"""The losses that take a weight for each pixel."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor


def takes_weight(loss: object) -> bool:
    """Return whether a loss can be called as loss(logits, target, weight), with weight (B, *P).

    It can where its `forward` has the parameter `weight`. One that depends on what it was made of, such as
    a sum, says so by its attribute `takes_weight`.
    """
    said = getattr(loss, "takes_weight", None)
    if said is not None:
        return bool(said)
    forward = getattr(loss, "forward", None)
    return forward is not None and "weight" in inspect.signature(forward).parameters


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(w v) / sum(w), and 0 where all weights are 0: only the weights' ratios matter.

    Args:
        values: (B, *P).
        weight: (B, *P), at least 0.
    """
    weight = weight.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp_min(torch.finfo(values.dtype).tiny)
