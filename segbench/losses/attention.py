"""Weights of pixels by how wrong a network was: what a later one has to attend to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from segbench.data.case import IGNORE
from segbench.errors import UserError


def attention(logits: Tensor, target: Tensor) -> Tensor:
    """3/2 - p of each pixel's own class: (B, *P) from 1/2, where it is certain, to 3/2; 1 where ignored. No gradient.

    Of two classes it is 1 - |y - 1/2| where the class of the larger probability y is right and 1 + |y - 1/2| where
    it is wrong (Gunesli, Sokmensuer and Gunduz-Demir, IEEE TMI 39, 2020): a wrong pixel outweighs every right one.

    Args:
        logits: (B, K, *P) of classes; of a single channel that of class 1.
        target: (B, *P) classes.

    Raises:
        UserError: where the target is none of classes.
    """
    if target.is_floating_point() or target.ndim != logits.ndim - 1:
        raise UserError("task.objective: former names a head of classes, and this one learns something else")
    kept = target != IGNORE
    classes = target.where(kept, 0).unsqueeze(1)
    with torch.no_grad():
        scores = logits if logits.shape[1] > 1 else torch.cat([torch.zeros_like(logits), logits], dim=1)
        right = F.softmax(scores.float(), dim=1).gather(1, classes).squeeze(1)
        return torch.where(kept, 1.5 - right, 1.0)
