"""Networks of MONAI: attention gates, residual units, nested skips, transformers, in two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.networks.layers.factories import Norm
from monai.networks.nets import UNETR, AttentionUnet, BasicUNetPlusPlus, DynUNet, MedNeXt, SegResNet, SwinUNETR, UNet
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
        channels: Sequence[int] | None = None,
        divisible_by: int | None = None,
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
                resolution of the one before; None where `net` has other numbers instead.
            divisible_by: pixels to whose multiples images are padded; None: what the stages need.
            norm: a key of `blocks.NORMS`; None where `net` lets none be chosen.
            groups: of a group norm; where they do not divide the channels, their greatest common divisor.
            act: a key of `ACTIVATIONS`; None where `net` lets none be chosen.
            slope: of a leaky ReLU below zero.

        Raises:
            UserError: where `norm` or `act` is unknown, or MONAI refuses the numbers.
        """
        super().__init__()
        if channels is not None and len(channels) < 2:
            raise UserError(f"model.channels={list(channels)} needs two stages or more, such as [16, 32]")
        layers: dict[str, Any] = {}
        if norm is not None:
            choose(NORMS, norm, "model.norm")
            layers["norm"] = ("segbench", {"name": norm, "groups": groups})
        if act is not None:
            layers["act"] = choose(ACTIVATIONS, act, "model.act")(slope)
        if channels is not None:
            layers["channels"] = channels
        self.net = net(spatial_dims, in_channels, sum(heads.values()), **layers)
        self.stride = divisible_by or 2 ** (len(channels or [0]) - 1)
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


def dynunet(dims: int, first: int, last: int, channels: Sequence[int], **options: Any) -> nn.Module:
    """MONAI's own version of nnU-Net's network, of strides of 2 and kernels of 3.

    Source: Isensee et al., Nature Methods 2021, arXiv 1904.08128.
    """
    strides = [1, *[2] * (len(channels) - 1)]
    options["norm_name"], options["act_name"] = options.pop("norm"), options.pop("act")
    net: nn.Module = DynUNet(
        dims, first, last, [3] * len(channels), strides, strides[1:], filters=list(channels), **options
    )
    for name in ("input_block", "downsamples", "bottleneck", "upsamples"):
        delattr(net, name)  # parts of `skip_layers`, by which alone it computes
    return net


def swin_unetr(dims: int, first: int, last: int, *, features: int, **options: Any) -> nn.Module:
    """An encoder of shifted windows of attention, and a decoder of convolutions.

    Source: Hatamizadeh et al., BrainLes 2021, arXiv 2201.01266.

    Args:
        dims: 2 or 3.
        first: channels of the image.
        last: channels of the logits.
        features: channels of the first stage, a multiple of 12.
        options: of MONAI's class.
    """
    net: nn.Module = SwinUNETR(first, last, feature_size=features, spatial_dims=dims, **options)
    return net


class Unetr(nn.Module):
    """An encoder of attention over all patches of 16 pixels, and a decoder of convolutions.

    Source: Hatamizadeh et al., WACV 2022, arXiv 2103.10504.
    """

    def __init__(self, dims: int, first: int, last: int, *, size: Sequence[int], features: int, **options: Any) -> None:
        """Build MONAI's UNETR.

        Args:
            dims: 2 or 3.
            first: channels of the image.
            last: channels of the logits.
            size: of the images; the next multiples of 16 are the only size that it takes.
            features: channels of the first stage of the decoder.
            options: of MONAI's class.

        Raises:
            UserError: where the size is not of so many dimensions.
        """
        super().__init__()
        if len(size) != dims:
            raise UserError(f"model.net.size={list(size)}: UNETR takes {dims} sizes: set data.patch_size")
        self.size = padded_size(size, 16)
        self.net = UNETR(first, last, self.size, feature_size=features, spatial_dims=dims, **options)
        for block in self.net.vit.blocks:
            block.norm_cross_attn.requires_grad_(False)  # which nothing passes: there is no second sequence

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, *P) of `image` (B, C, *P).

        Raises:
            UserError: where the image has another size than that the network was made for.
        """
        if tuple(image.shape[2:]) != self.size:
            raise UserError(
                f"UNETR was made for images of {list(self.size)} pixels (model.net.size), not {list(image.shape[2:])}:"
                " predict by windows of this size (inference=sliding_window)"
            )
        logits: Tensor = self.net(image)
        return logits


def mednext(
    dims: int,
    first: int,
    last: int,
    *,
    features: int,
    kernel: int,
    blocks: Sequence[int],
    ratios: Sequence[int],
    **options: Any,
) -> nn.Module:
    """A U-Net of ConvNeXt blocks, whose channels widen inside a block.

    Source: Roy et al., MICCAI 2023, arXiv 2303.09975.

    Args:
        dims: 2 or 3.
        first: channels of the image.
        last: channels of the logits.
        features: channels of the first stage, doubled from stage to stage.
        kernel: of the convolutions, odd.
        blocks: of the four stages and the lowest one; the decoder has as many.
        ratios: likewise, by which channels widen.
        options: of MONAI's class.

    Raises:
        UserError: where there are not five stages.
    """
    for key, numbers in (("blocks", blocks), ("ratios", ratios)):
        if len(numbers) != 5:
            raise UserError(f"model.net.{key}={list(numbers)}: MedNeXt has five stages, so give five numbers")
    net: nn.Module = MedNeXt(
        spatial_dims=dims,
        init_filters=features,
        in_channels=first,
        out_channels=last,
        encoder_expansion_ratio=list(ratios[:4]),
        decoder_expansion_ratio=list(ratios[3::-1]),
        bottleneck_expansion_ratio=ratios[4],
        kernel_size=kernel,
        blocks_down=list(blocks[:4]),
        blocks_bottleneck=blocks[4],
        blocks_up=list(blocks[3::-1]),
        **options,
    )
    return net
