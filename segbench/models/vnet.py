"""V-Net of Milletari, Navab and Ahmadi (3DV 2016, arXiv 1606.04797), in two and three dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import (
    CONV,
    NORMS,
    PLAIN_ACTIVATIONS,
    TRANSPOSED_CONV,
    choose,
    initialise,
    match_size,
    padded_size,
)
from segbench.models.heads import Outputs, split_heads


class VNet(nn.Module):
    """Stages of convolutions of 5x5(x5) whose input is added to their output, strided and transposed convolutions.

    An image of any size is padded to what the strides need, and the logits cut back. The defaults are the network of
    the paper; the authors' release has other numbers of convolutions and another head.

    Source: Milletari, Navab and Ahmadi, 3DV 2016, arXiv 1606.04797.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        convs: Sequence[int] = (1, 2, 3, 3, 3),
        decoder_convs: Sequence[int] = (1, 2, 3, 3),
        kernel: int = 5,
        head: Literal["paper", "release"] = "paper",
        norm: str = "none",
        groups: int = 8,
        act: str = "prelu",
        slope: float = 0.01,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits; all heads share the last convolution.
            channels: of each stage, from the highest resolution to the lowest.
            convs: convolutions of each stage of the encoder.
            decoder_convs: likewise of the decoder, the highest resolution first.
            kernel: of them, odd.
            head: "paper": a 1x1(x1) convolution; "release": one of size `kernel`, an activation, and a 1x1(x1) one.
            norm: a key of `blocks.NORMS`, behind each convolution of a stage.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`; a PReLU has a slope for each channel.
            slope: of a leaky ReLU below zero.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where the numbers of stages do not agree, or the kernel is even.
        """
        super().__init__()
        for key, depths, count in (
            ("convs", convs, len(channels)),
            ("decoder_convs", decoder_convs, len(channels) - 1),
        ):
            if len(depths) < count or min(depths) < 1 or count < 1:
                raise UserError(f"model.{key}={list(depths)} needs a number >= 1 for each of {count} stages")
        if kernel % 2 == 0:
            raise UserError(f"model.kernel={kernel} must be odd, so that the size is kept")
        activation = choose(PLAIN_ACTIVATIONS, act, "model.act")
        normalisation = choose(NORMS, norm, "model.norm")
        conv, padding = CONV[spatial_dims], kernel // 2

        def stage(width: int, depth: int) -> Stage:
            units = [
                nn.Sequential(conv(width, width, kernel, padding=padding), normalisation(spatial_dims, width, groups))
                for _ in range(depth)
            ]
            return Stage(units, [activation.build(width, slope) for _ in range(depth)])

        def between(layer: nn.Module, width: int) -> nn.Module:
            return nn.Sequential(layer, activation.build(width, slope))

        first = channels[0]
        # The first stage is wider than its input: the latter is repeated for the sum.
        self.first = nn.Sequential(
            conv(in_channels, first, kernel, padding=padding), normalisation(spatial_dims, first, groups)
        )
        self.first_act = activation.build(first, slope)
        self.rest = stage(first, convs[0] - 1) if convs[0] > 1 else nn.Identity()
        self.downs, self.encoder = nn.ModuleList(), nn.ModuleList()
        for (above, width), depth in zip(pairwise(channels), convs[1:], strict=False):
            self.downs.append(between(conv(above, width, 2, stride=2), width))
            self.encoder.append(stage(width, depth))
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        below = channels[-1]
        for width, depth in reversed(list(zip(channels[:-1], decoder_convs, strict=False))):
            self.ups.append(between(TRANSPOSED_CONV[spatial_dims](below, width, 2, stride=2), width))
            self.decoder.append(stage(2 * width, depth))
            below = 2 * width
        classes = sum(heads.values())
        if head == "paper":
            self.last: nn.Module = conv(below, classes, 1)
        else:
            wide = conv(below, classes, kernel, padding=padding)
            self.last = nn.Sequential(wide, activation.build(classes, slope), conv(classes, classes, 1))
        self.heads = dict(heads)
        self.stride = 2 ** (len(channels) - 1)
        initialise(self, init)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, *P) of every head, for `image` (B, C, *P), any P."""
        size = image.shape[2:]
        x = match_size(image, padded_size(size, self.stride), "pad")
        new = self.first(x)
        repeated = x.repeat(1, -(-new.shape[1] // x.shape[1]), *(1,) * len(size))[:, : new.shape[1]]
        x = self.rest(self.first_act(new + repeated))
        skips = [x]
        for down, stage in zip(self.downs, self.encoder, strict=True):
            x = stage(down(x))
            skips.append(x)
        skips.pop()
        for up, stage in zip(self.ups, self.decoder, strict=True):
            x = stage(torch.cat([up(x), skips.pop()], dim=1))
        return {**split_heads(match_size(self.last(x), size, "crop"), self.heads)}


class Stage(nn.Module):
    """Convolutions to whose output their input is added, in front of the last activation."""

    def __init__(self, units: Sequence[nn.Module], acts: Sequence[nn.Module]) -> None:
        """Args: units: convolutions with their norms; acts: the activation behind each."""
        super().__init__()
        self.units = nn.ModuleList(units)
        self.acts = nn.ModuleList(acts)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *P) -> (B, C, *P)."""
        y = x
        *inner, last = zip(self.units, self.acts, strict=True)
        for unit, act in inner:
            y = act(unit(y))
        unit, act = last
        return cast(Tensor, act(unit(y) + x))
