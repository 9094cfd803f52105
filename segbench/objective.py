"""Heads and losses -> one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segbench.errors import UserError

Loss = Callable[[Tensor, Tensor], Tensor]


class Part(nn.Module):
    """The loss of one head and its weight in the sum."""

    def __init__(self, loss: Loss, weight: float = 1.0) -> None:
        super().__init__()
        self.loss = loss
        self.weight = weight


class Objective(nn.Module):
    """The weighted sum of the losses of all heads.

    Args:
        parts: for each head its loss and weight. A loss takes raw logits (B, K, *P) in float32 and the
            head's target, and returns a scalar.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def forward(
        self, outputs: Mapping[str, Tensor | list[Tensor]], batch: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and the unweighted loss of each head.

        A head with deep supervision is a list, finest first: its i-th output counts 1 / 2^i, the
        coarsest not at all, and the weights sum to one (nnU-Net v2); targets follow by nearest pixel.

        Raises:
            UserError: where the model has no output for a head of the objective.
        """
        named: dict[str, Tensor] = {}
        total: Tensor | None = None
        device = next(iter(batch.values())).device.type
        for head, part in self.parts.items():
            assert isinstance(part, Part)
            if head not in outputs:
                raise UserError(f"task.objective.{head}: the model returns no head {head!r}, only {', '.join(outputs)}")
            value, target = outputs[head], batch[head]
            # Sums over many pixels lose all precision in half floats.
            with torch.autocast(device, enabled=False):
                if isinstance(value, list):
                    scales = zip(supervision_weights(len(value)), value, strict=True)
                    named[head] = torch.stack(
                        [w * part.loss(logits.float(), resize(target, logits)) for w, logits in scales if w]
                    ).sum()
                else:
                    named[head] = part.loss(value.float(), target)
            weighted = part.weight * named[head]
            total = weighted if total is None else total + weighted
        assert total is not None, "an objective has at least one head"
        return total, named


def supervision_weights(count: int) -> list[float]:
    """Weights of `count` outputs, finest first: 1, 1/2, 1/4, .., the last 0 (if not alone), sum 1."""
    raw = [0.5**i for i in range(count)]
    if count > 1:
        raw[-1] = 0.0
    return [weight / sum(raw) for weight in raw]


def resize(target: Tensor, logits: Tensor) -> Tensor:
    """The target (B, *P) or (B, C, *P) at the size of logits (B, K, *Q), by nearest pixel."""
    size = logits.shape[2:]
    dims = len(size)
    if target.shape[-dims:] == size:
        return target
    channels = target.reshape(len(target), -1, *target.shape[-dims:])
    resized = interpolate(channels.float(), size=size, mode="nearest-exact")
    return resized.reshape(*target.shape[:-dims], *size).to(target.dtype)
