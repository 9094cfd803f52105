"""SegNet of Badrinarayanan, Kendall and Cipolla (PAMI 2017, arXiv 1511.00561), in two and three dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import CONV, initialise, match_size, padded_size
from segbench.models.heads import Outputs, split_heads
from segbench.models.vgg import CHANNELS, CONVS, Unit, pool, pretrained, scaled, stages, transplant, unpool


class SegNet(nn.Module):
    """The convolutions of VGG16, and a decoder that puts values back where pooling took them from.

    Nothing but the switches of the pools goes from encoder to decoder. An image of any size is padded to what the
    strides need, and the logits cut back. The defaults are SegNet; SegNet-Basic is other values.

    Source: Badrinarayanan, Kendall and Cipolla, PAMI 2017, arXiv 1511.00561.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int] = CHANNELS,
        convs: Sequence[int] = CONVS,
        decoder_convs: Sequence[int] = (1, 2, 3, 3, 3),
        kernel: int = 3,
        head_kernel: int = 3,
        width: float = 1.0,
        norm: str = "batch",
        groups: int = 8,
        act: str = "relu",
        slope: float = 0.01,
        decoder_norm: bool = True,
        decoder_act: bool = True,
        decoder_bias: bool = True,
        weights: str | None = None,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits; all heads share the last convolution.
            channels: of each stage, from the highest resolution to the lowest.
            convs: convolutions in each stage of the encoder.
            decoder_convs: likewise of the decoder; the last one of a stage has the channels of the stage above.
            kernel: size of these convolutions, odd.
            head_kernel: size of the last convolution, which gives the logits, odd.
            width: times the channels.
            norm: a key of `blocks.NORMS`.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            decoder_norm: whether the decoder has norms too.
            decoder_act: whether it has activations: the release of SegNet has, SegNet-Basic has not.
            decoder_bias: whether its convolutions have a bias.
            weights: "imagenet" for trained weights of VGG16 in the encoder; None draws them.
            init: a key of `blocks.INITIALISATIONS`, for what has no trained weights.

        Raises:
            UserError: where a value is unknown, the numbers of stages do not agree, or the weights cannot be had
                or do not fit.
        """
        super().__init__()
        _check(channels, convs, decoder_convs, kernel, head_kernel)
        widths = scaled(channels, width)
        settings: dict[str, Any] = {"kernel": kernel, "groups": groups, "slope": slope}
        self.heads = dict(heads)
        self.stride = 2 ** len(widths)
        self.encoder = stages(spatial_dims, in_channels, widths, convs, norm=norm, act=act, **settings)
        settings |= {"norm": norm if decoder_norm else "none", "act": act if decoder_act else None}
        self.decoder = nn.ModuleList()
        for (above, below), depth in reversed(list(zip(pairwise([widths[0], *widths]), decoder_convs, strict=True))):
            outputs = [below] * (depth - 1) + [above]
            pairs = pairwise([below, *outputs])
            units = (Unit(spatial_dims, *pair, bias=decoder_bias, **settings) for pair in pairs)
            self.decoder.append(nn.Sequential(*units))
        self.last = CONV[spatial_dims](widths[0], sum(heads.values()), head_kernel, padding=head_kernel // 2)
        initialise(self, init)
        if weights is not None:
            if (spatial_dims, tuple(convs), kernel) != (2, CONVS, 3):
                raise UserError(
                    f"model.weights={weights}: VGG16 is 2D with model.convs={list(CONVS)} of model.kernel=3;"
                    " for another network or volumes set model.weights=null"
                )
            transplant(pretrained(weights, norm, in_channels)[0], self.encoder)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, *P) of every head, for `image` (B, C, *P), any P."""
        size = image.shape[2:]
        x = match_size(image, padded_size(size, self.stride), "pad")
        switches: list[Tensor] = []
        for stage in self.encoder:
            x, places = pool(stage(x))
            switches.append(places)
        for stage in self.decoder:
            x = stage(unpool(x, switches.pop()))
        return {**split_heads(match_size(self.last(x), size, "crop"), self.heads)}


def _check(
    channels: Sequence[int], convs: Sequence[int], decoder_convs: Sequence[int], kernel: int, head_kernel: int
) -> None:
    for key, depths in (("convs", convs), ("decoder_convs", decoder_convs)):
        if len(depths) != len(channels) or min(depths, default=0) < 1:
            raise UserError(
                f"model.{key}={list(depths)} needs a number >= 1 for each of the {len(channels)} stages of"
                " model.channels"
            )
    for key, size in (("kernel", kernel), ("head_kernel", head_kernel)):
        if size % 2 == 0:
            raise UserError(f"model.{key}={size} must be odd, so that the size is kept")
