"""The probabilities that the logits of a head stand for."""

from __future__ import annotations

from torch import Tensor


def head_probabilities(head: str, logits: Tensor) -> Tensor:
    """The probabilities (K, *S) of logits (K, *S): of classes (`mask`) they sum to 1, of `regions` each is by itself.

    Values of other heads are none, and returned as they are.
    """
    values = logits.float()
    return values.softmax(0) if head == "mask" else values.sigmoid() if head == "regions" else values
