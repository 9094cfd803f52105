"""Networks of MONAI: attention gates, residual units, nested skips, in two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.networks.layers.factories import Norm
from monai.networks.nets import AttentionUnet, BasicUNetPlusPlus, SegResNet, UNet
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import NORMS, choose, match_size, padded_size
from segbench.models.heads import Outputs, split_heads

Net = Callable[..., nn.Module]
"""(spatial dims, channels in, channels out, channels of each stage, norm=, act=) -> network."""

ACTIVATIONS: dict[str, Callable[[float], tuple[str, dict[str, float]]]] = {
    "relu": lambda slope: ("relu", {"inplace": True}),
    "leaky_relu": lambda slope: ("leakyrelu", {"negative_slope": slope, "inplace": True}),
    "elu": lambda slope: ("elu", {"inplace": True}),
    "prelu": lambda slope: ("prelu", {}),
    "tanh": lambda slope: ("tanh", {}),
    "sigmoid": lambda slope: ("sigmoid", {}),
}
"""Activation name -> MONAI's words for it, from the slope; PReLU learns one slope for all channels."""


def _norm(dims: int) -> Callable[..., nn.Module]:
    """The norms of all models here, for MONAI's `norm=("segbench", {"name": .., "groups": ..})`.

    MONAI's own group norm refuses groups that do not divide the channels, as those of the logits in its U-Net.
    """

    def build(num_features: int, name: str, groups: int) -> nn.Module:
        return NORMS[name](dims, num_features, groups)

    return build


Norm.add_factory_callable("segbench", _norm)


class MonaiModel(nn.Module):
    """One network of MONAI with the interface of all models here.

    An image of any size is padded to what the strides need, and the logits cut back.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        net: Net,
        channels: Sequence[int],
        norm: str | None = None,
        groups: int = 8,
        act: str | None = None,
        slope: float = 0.01,
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits; all heads share the network's last convolution.
            net: one of the functions below, with further arguments of MONAI's class bound to it.
            channels: of each stage, from the highest resolution to the lowest; each stage has half the
                resolution of the one before.
            norm: a key of `blocks.NORMS`; None where `net` lets none be chosen.
            groups: of a group norm; where they do not divide the channels, their greatest common divisor.
            act: a key of `ACTIVATIONS`; None where `net` lets none be chosen.
            slope: of a leaky ReLU below zero.

        Raises:
            UserError: where `norm` or `act` is unknown, or MONAI refuses the numbers.
        """
        super().__init__()
        if len(channels) < 2:
            raise UserError(f"model.channels={list(channels)} needs two stages or more, such as [16, 32]")
        layers: dict[str, Any] = {}
        if norm is not None:
            choose(NORMS, norm, "model.norm")
            layers["norm"] = ("segbench", {"name": norm, "groups": groups})
        if act is not None:
            layers["act"] = choose(ACTIVATIONS, act, "model.act")(slope)
        self.net = net(spatial_dims, in_channels, sum(heads.values()), channels, **layers)
        self.stride = 2 ** (len(channels) - 1)
        self.heads = dict(heads)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, *P) of every head, for `image` (B, C, *P) of any size."""
        size = image.shape[2:]
        logits = self.net(match_size(image, padded_size(size, self.stride), "pad"))
        return {**split_heads(match_size(logits, size, "crop"), self.heads)}


def attention_unet(dims: int, first: int, last: int, channels: Sequence[int], **options: Any) -> nn.Module:
    """U-Net whose skips are weighted by attention gates (Oktay et al. 2018, arXiv 1804.03999).

    Source: Oktay et al., MIDL 2018, arXiv 1804.03999.
    """
    net: nn.Module = AttentionUnet(dims, first, last, channels, [2] * (len(channels) - 1), **options)
    return net


def residual_unet(dims: int, first: int, last: int, channels: Sequence[int], **options: Any) -> nn.Module:
    """U-Net of residual units with strided convolutions (Kerfoot et al. 2018).

    Source: Kerfoot et al., STACOM 2018.
    """
    net: nn.Module = UNet(dims, first, last, channels, [2] * (len(channels) - 1), **options)
    return net


def segresnet(
    dims: int, first: int, last: int, channels: Sequence[int], *, down: Sequence[int], up: int, **options: Any
) -> nn.Module:
    """The network of Myronenko 2018 (arXiv 1810.11654) without its auto-encoder branch.

    Source: Myronenko, BrainLes 2018, arXiv 1810.11654.

    Args:
        dims: 2 or 3.
        first: channels of the image.
        last: channels of the logits.
        channels: of each stage; MONAI doubles them from stage to stage.
        down: residual blocks of each stage of the encoder.
        up: residual blocks of each stage of the decoder.
        options: of MONAI's class.

    Raises:
        UserError: where the channels do not double, or the numbers of stages do not agree.
    """
    doubled = [channels[0] * 2**stage for stage in range(len(channels))]
    if list(channels) != doubled:
        raise UserError(f"model.channels={list(channels)}: SegResNet doubles them, so give {doubled}")
    if len(down) != len(channels):
        raise UserError(f"model.net.down={list(down)} needs a number for each of the {len(channels)} stages")
    net: nn.Module = SegResNet(
        dims, channels[0], first, last, blocks_down=tuple(down), blocks_up=(up,) * (len(channels) - 1), **options
    )
    return net


class NestedUNet(nn.Module):
    """U-Net++ (Zhou et al. 2018, arXiv 1807.10165) in its accurate mode: the mean of its four outputs.

    Source: Zhou et al., DLMIA 2018, arXiv 1807.10165.
    """

    def __init__(self, dims: int, first: int, last: int, channels: Sequence[int], **options: Any) -> None:
        """Build MONAI's BasicUNetPlusPlus.

        Args:
            dims: 2 or 3.
            first: channels of the image.
            last: channels of the logits.
            channels: of the five stages.
            options: of MONAI's class.

        Raises:
            UserError: where there are not five stages.
        """
        super().__init__()
        if len(channels) != 5:
            raise UserError(f"model.channels={list(channels)}: MONAI's U-Net++ has five stages, so give five numbers")
        self.net = BasicUNetPlusPlus(dims, first, last, (*channels, channels[0]), deep_supervision=True, **options)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, *P) of `image` (B, C, *P), whose sizes are multiples of 16."""
        return torch.stack(self.net(image)).mean(0)
