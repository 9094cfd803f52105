"""A cascade: networks trained as one, each of which sees the image and what the one before it said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.models.blocks import choose
from segbench.models.heads import Outputs


def _probabilities(logits: Tensor) -> Tensor:
    """The probabilities of classes, or of a single logit: (B, K, *P) -> (B, K, *P)."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)


def _foreground(logits: Tensor) -> Tensor:
    """The probabilities of all classes but the first: (B, K, *P) -> (B, K - 1, *P), one of a single logit."""
    probabilities = _probabilities(logits)
    return probabilities[:, 1:] if logits.shape[1] > 1 else probabilities


SAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "values": lambda outputs: outputs,
    "probabilities": _probabilities,
    "foreground": _foreground,
}
"""Name -> what the next network sees of the outputs of a head."""


class Cascade(nn.Module):
    """Networks one after the other, from the image to what is wanted in the end.

    The loss of a later one reaches the earlier ones through what they say. Heads that no stage names are the last
    network's; a stage none of whose heads the task has is left out. Trained one after the other instead: a run of the
    first stages whose weights another run takes over (`initial_weights`).

    Source: FourierNet: Cansiz et al., JBHI 2023; AttentionBoost: Gunesli et al., TMI 39, 2020.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        net: Callable[..., nn.Module],
        stages: Sequence[Sequence[str]],
        says: str = "values",
        sees_image: bool = True,
        before: float | None = None,
        means: Mapping[str, Sequence[str]] | None = None,
        apart: Sequence[str] = (),
    ) -> None:
        """Build the networks.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            net: makes each network from spatial_dims, in_channels and heads.
            stages: the heads of each network, in order.
            says: what the next network sees of the outputs: a key of `SAYS`.
            sees_image: whether networks after the first see the image besides.
            before: what the first network sees in the place of what the one before it would say, everywhere; None: the
                image alone.
            means: head -> the heads that it is the mean of: of their values, or of their probabilities. Where the task
                lacks one of them it is a head of the last network.
            apart: heads each channel of which is a head of its own to the network.

        Raises:
            UserError: where a head is in two stages, or `says` is unknown.
        """
        super().__init__()
        self.says = choose(SAYS, says, "model.says")
        self.values = says == "values"
        self.sees_image = sees_image
        self.before = before
        self.means = {
            head: tuple(others) for head, others in (means or {}).items() if head in heads and set(others) <= set(heads)
        }
        self.parts = {
            head: {f"{head}_{number}": 1 for number in range(1, width + 1)} if head in apart else {head: width}
            for head, width in heads.items()
            if head not in self.means
        }
        self.heads = tuple(heads)
        self.nets = nn.ModuleList()
        self.constants = said = 0
        for stage in _shared_out(list(self.parts), stages):
            channels = {part: width for head in stage for part, width in self.parts[head].items()}
            of_it = sum(max(width - 1, 1) if says == "foreground" else width for width in channels.values())
            if not self.nets and before is not None:
                self.constants = said = of_it
            seen = in_channels if sees_image or not self.nets else 0
            self.nets.append(net(spatial_dims=spatial_dims, in_channels=seen + said, heads=channels))
            said = of_it

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, *P) of every head, for `image` (B, C, *P), any P.

        Raises:
            UserError: where a network predicts less than it sees.
        """
        seen = image
        if self.constants:
            constant = torch.full_like(image[:, :1], self.before or 0.0)
            seen = torch.cat([image, *[constant] * self.constants], dim=1)
        found: dict[str, Tensor] = {}
        for number, net in enumerate(self.nets, start=1):
            outputs = {part: _finest(logits) for part, logits in net(seen).items()}
            found |= outputs
            if number < len(self.nets):
                said = [self.says(logits) for logits in outputs.values()]
                if said[0].shape[2:] != image.shape[2:]:
                    raise UserError("model.net: in a cascade a network predicts all that it sees: padding=same")
                seen = torch.cat([*([image] if self.sees_image else []), *said], dim=1)
        joined = {
            head: found[head] if head in found else torch.cat([found[part] for part in parts], dim=1)
            for head, parts in self.parts.items()
        }
        for head, others in self.means.items():
            joined[head] = _mean([joined[one] for one in others], self.values)
        return {head: joined[head] for head in self.heads}


def _shared_out(heads: Sequence[str], stages: Sequence[Sequence[str]]) -> list[list[str]]:
    """The heads of each network; those that no stage names are the last one's.

    Raises:
        UserError: where a head is in two stages.
    """
    named = [head for stage in stages for head in stage]
    for head in named:
        if named.count(head) > 1:
            raise UserError(f"model.stages: {head} is in {named.count(head)} stages; a head is of one network")
    shares = [[head for head in stage if head in heads] for stage in stages]
    shares[-1] += [head for head in heads if head not in named]
    return [share for share in shares if share]


def _finest(logits: Tensor | list[Tensor]) -> Tensor:
    return logits[0] if isinstance(logits, list) else logits


def _mean(logits: Sequence[Tensor], values: bool) -> Tensor:
    """The mean of values, or the logits of the mean of probabilities: of (B, K, *P) each."""
    stacked = torch.stack(list(logits))
    if values:
        return stacked.mean(0)
    if stacked.shape[2] > 1:
        return stacked.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(logits))
    return F.logsigmoid(stacked).logsumexp(dim=0) - F.logsigmoid(-stacked).logsumexp(dim=0)
