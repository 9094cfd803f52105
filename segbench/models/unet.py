"""U-Net of Ronneberger, Fischer and Brox (MICCAI 2015, arXiv 1505.04597), in two and three dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import DOWN, ConvBlock, choose, initialise, match_size, upsampling
from segbench.models.heads import Heads, Outputs, Share, apart
from segbench.models.valid_convolutions import POOLINGS, UPSAMPLINGS, SizedNetwork, ValidSizes


class DecoderStage(nn.Module):
    """An upsampling of what comes from below, joined with the skip connection, and convolutions."""

    def __init__(self, up: nn.Module, convs: nn.Module) -> None:
        """Args: up: doubles the size; convs: takes the skip's channels followed by those of `up`."""
        super().__init__()
        self.up = up
        self.convs = convs

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Join `x` (B, C, *P) and the centre of `skip` (B, S, *2P or more) into features (B, S, *2P or less)."""
        doubled = self.up(x)
        features: Tensor = self.convs(torch.cat([match_size(skip, doubled.shape[2:], "centre"), doubled], dim=1))
        return features


PADDINGS = {"same": 1, "valid": 0}
"""Name -> pixels of zeros around the input of each convolution."""

BIASES = {"auto": None, "true": True, "false": False}
"""Name -> the `bias` of a `ConvBlock`."""


class UNet(SizedNetwork):
    """An encoder, a decoder, and a skip connection between them at every resolution but the lowest.

    The defaults are the network of the paper with padded convolutions and batch norm: 31.0 million
    parameters. An image of any size is padded to what the strides need, and the logits cut back.

    With valid convolutions, as in the paper, it predicts the centre of what it sees, and takes images of certain
    sizes only: with four poolings 188, 204, .. pixels, 16 k + 12, of which all but 184 are predicted.

    Source: Ronneberger, Fischer and Brox, MICCAI 2015, arXiv 1505.04597.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int] = (64, 128, 256, 512, 1024),
        convs: int | Sequence[int] = 2,
        norm: str = "batch",
        groups: int = 8,
        bias: str | bool = "auto",
        act: str = "relu",
        slope: float = 0.01,
        down: str = "max_pool",
        up: str = "transposed",
        up_conv: bool = True,
        dropout: float = 0.0,
        dropout_between: float = 0.0,
        deep_supervision: bool = False,
        one_logit: bool = False,
        share: Share = "all",
        init: str = "he_normal",
        padding: str = "same",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits; each is a 1x1(x1) convolution of the last features.
            channels: of each stage, from the highest resolution to the lowest; each stage has half the
                resolution of the one before.
            convs: convolutions per stage, for all stages or one number each; encoder and decoder have
                the same at one resolution.
            norm: a key of `blocks.NORMS`, between convolution and activation.
            groups: of a group norm.
            bias: whether the stages' convolutions have biases: a key of `BIASES`, or a truth value. "auto":
                where no norm follows.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            down: a key of `blocks.DOWN`.
            up: a key of `blocks.UP`.
            up_conv: whether a convolution follows the interpolation, as many channels out as the skip
                has; without it, the stage convolves all channels from below.
            dropout: rate of drop-out at the end of the contracting path.
            dropout_between: rate of drop-out between the first convolution of each stage and the others.
            deep_supervision: whether every resolution of the decoder has its own heads.
            one_logit: whether a head of two classes has a single channel, see `Heads`.
            share: "encoder" gives each head a decoder of its own; "all": they differ in their last convolution alone.
            init: a key of `blocks.INITIALISATIONS`.
            padding: "same" pads every convolution with zeros; "valid" none, and cuts the skips centrally.

        Raises:
            UserError: where a name is unknown, the numbers of stages do not agree, or valid convolutions
                are asked for together with what reads beyond the border.
        """
        super().__init__()
        around = choose(PADDINGS, padding, "model.padding")
        stages = len(channels)
        if stages < 2:
            raise UserError(f"model.channels={list(channels)} needs two stages or more, such as [16, 32]")
        depths = [convs] * stages if isinstance(convs, int) else list(convs)
        if len(depths) != stages or min(depths) < 1:
            raise UserError(
                f"model.convs={depths} needs a number >= 1 for each of the {stages} stages of model.channels"
            )
        pool = choose(DOWN, down, "model.down")
        shifted = choose(BIASES, str(bias).lower(), "model.bias")
        block = partial(
            ConvBlock, spatial_dims, norm=norm, act=act, slope=slope, groups=groups, padding=around, bias=shifted
        )

        def convolutions(first: int, width: int, depth: int, stride: int = 1) -> list[nn.Module]:
            between = [nn.Dropout(dropout_between)] if dropout_between else []
            return [block(first, width, stride=stride), *between, *(block(width, width) for _ in range(depth - 1))]

        self.stride = 2 ** (stages - 1)
        self.encoder = nn.ModuleList([nn.Sequential(*convolutions(in_channels, channels[0], depths[0]))])
        for (above, width), depth in zip(pairwise(channels), depths[1:], strict=True):
            if pool is None:
                stage = convolutions(above, width, depth, stride=2)
            else:
                stage = [pool[spatial_dims](2), *convolutions(above, width, depth)]
            self.encoder.append(nn.Sequential(*stage))
        self.dropout = nn.Dropout(dropout)

        def decoder() -> nn.ModuleList:
            stages = nn.ModuleList()
            for (width, below), depth in reversed(list(zip(pairwise(channels), depths[:-1], strict=True))):
                doubled = upsampling(up, spatial_dims, below, width if up_conv else None, around)
                joined = width + (width if up_conv else below)
                stages.append(DecoderStage(doubled, nn.Sequential(*convolutions(joined, width, depth))))
            return stages

        self.decoder = nn.ModuleDict({head: decoder() for head in heads}) if apart(share, heads) else decoder()
        self.heads = Heads(spatial_dims, channels[:-1], heads, deep_supervision, one_logit=one_logit)
        self.valid = None if around else _valid_sizes(depths, down, up, up_conv, deep_supervision)
        initialise(self, init)

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every head.

        Args:
            image: (B, C, *P), any P; with valid convolutions one of those that `ValidSizes` allows.

        Returns:
            Head name -> logits (B, K, *P); with deep supervision a list of them, finest first, level i
            of size ceil(P / 2**i). With valid convolutions (B, K, *Q), the centre.

        Raises:
            UserError: where valid convolutions cannot take this size.
        """
        x, size = self.fitted(image)
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        x = self.dropout(skips.pop())
        if isinstance(self.decoder, nn.ModuleDict):
            return {
                head: self.heads.one(head, self._decoded(stages.children(), x, list(skips)), size)
                for head, stages in self.decoder.items()
            }
        outputs: Outputs = self.heads(self._decoded(self.decoder.children(), x, skips), size)
        return outputs

    def _decoded(self, stages: Iterable[nn.Module], x: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """The features for the heads, finest first; the skip connections are taken off their list."""
        features: list[Tensor] = []
        for stage in stages:
            x = stage(x, skips.pop())
            # No more than there are heads for: the rest of the memory is free again.
            features = [x, *features][: self.heads.resolutions]
        return features


def _valid_sizes(convs: Sequence[int], down: str, up: str, up_conv: bool, deep_supervision: bool) -> ValidSizes:
    """The sizes of a network of valid convolutions; refuses what reads beyond the border all the same."""
    for key, value, known in (("up", up, tuple(UPSAMPLINGS)), ("down", down, POOLINGS)):
        if value not in known:
            raise UserError(
                f"model.{key}={value} reads beyond the border: model.padding=valid goes with {', '.join(known)}"
            )
    if deep_supervision:
        raise UserError(
            "model.deep_supervision=true needs model.padding=same: valid resolutions end at different places"
        )
    return ValidSizes(tuple(convs), UPSAMPLINGS[up] if up_conv else 0)
