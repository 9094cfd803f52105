"""The last layers of every network: logits by head name, at the size of the image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import CONV, match_size

Outputs = dict[str, Tensor | list[Tensor]]
"""Head name -> logits (B, K, *P), or a list of them, finest first (deep supervision)."""


Share = Literal["encoder", "all"]
"""The part of a network that several heads have in common: its encoder, or all but the last convolution."""


def apart(share: str, heads: Mapping[str, int]) -> bool:
    """Return whether heads have decoders of their own: where there are several, and they share the encoder alone.

    Raises:
        UserError: where `share` is something else.
    """
    if share not in ("encoder", "all"):
        raise UserError(f"model.share={share}: must be encoder or all")
    return share == "encoder" and len(heads) > 1


class Heads(nn.Module):
    """A 1x1(x1) convolution for every head, and with deep supervision for every resolution."""

    def __init__(
        self,
        spatial_dims: int,
        widths: Sequence[int],
        heads: Mapping[str, int],
        deep_supervision: bool,
        scales: Sequence[Sequence[int]] | None = None,
        one_logit: bool = False,
    ) -> None:
        """Build the convolutions.

        Args:
            spatial_dims: 2 or 3.
            widths: channels of the features at each resolution, finest first.
            heads: name -> channels of its logits.
            deep_supervision: whether all resolutions have heads, or the finest alone.
            scales: pixels of the image along each axis in one of each resolution; None: 1, 2, 4, ..
            one_logit: whether a head of two channels has one convolution z for both, -z / 2 and z / 2: their softmax
                is the sigmoid of z.
        """
        super().__init__()
        self.scales = scales or [(2**level,) * spatial_dims for level in range(len(widths))]
        self.deep_supervision = deep_supervision
        self.resolutions = len(widths) if deep_supervision else 1
        self.convs = nn.ModuleDict()
        for name, classes in heads.items():
            convs = (_last(spatial_dims, width, classes, one_logit) for width in widths[: self.resolutions])
            self.convs[name] = nn.ModuleList(convs)

    def forward(self, features: Sequence[Tensor], size: Sequence[int]) -> Outputs:
        """Logits of every head.

        Args:
            features: (B, C, *(P / scale)) for each resolution that has heads, finest first.
            size: of the image, to which logits of a padded image are cut back: each level to
                ceil(size / scale).
        """
        return {name: self.one(name, features, size) for name in self.convs}

    def one(self, name: str, features: Sequence[Tensor], size: Sequence[int]) -> Tensor | list[Tensor]:
        """Logits of one head; arguments as of `forward`."""
        sizes = [
            [math.ceil(n / step) for n, step in zip(size, scale, strict=True)]
            for scale in self.scales[: self.resolutions]
        ]
        convs = self.convs[name]
        assert isinstance(convs, nn.ModuleList)
        logits = [
            match_size(conv(feature), wanted, "crop")
            for conv, feature, wanted in zip(convs, features, sizes, strict=True)
        ]
        return logits if self.deep_supervision else logits[0]


class TwoSided(nn.Module):
    """A single logit as the logits of two classes, whose softmax is its sigmoid: (B, 1, *P) -> (B, 2, *P)."""

    def forward(self, z: Tensor) -> Tensor:
        """-z / 2 and z / 2."""
        return torch.cat([-z / 2, z / 2], dim=1)


def _last(dims: int, width: int, classes: int, one_logit: bool) -> nn.Module:
    if one_logit and classes == 2:
        return nn.Sequential(CONV[dims](width, 1, kernel_size=1), TwoSided())
    return CONV[dims](width, classes, kernel_size=1)


def split_heads(logits: Tensor, heads: Mapping[str, int]) -> dict[str, Tensor]:
    """Deal the channels of `logits` (B, sum of K, *P) out to the heads, in their order."""
    if len(heads) == 1:  # as it is: the gradient of a split would lose the memory format
        return dict.fromkeys(heads, logits)
    return dict(zip(heads, torch.split(logits, list(heads.values()), dim=1), strict=True))
