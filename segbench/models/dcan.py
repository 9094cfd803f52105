"""DCAN of Chen et al. (CVPR 2016, arXiv 1604.02677): objects and their contours, each from three resolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import CONV, DOWN, LINEAR, TRANSPOSED_CONV, ConvBlock, initialise, match_size, padded_size
from segbench.models.heads import Outputs

CLASSIFIERS = 3
"""Resolutions that a branch looks at: the three lowest."""


class DCAN(nn.Module):
    """An encoder like that of VGG, and for each head a branch that enlarges its three lowest resolutions and sums them.

    An image of any size is padded to what the strides need, and the logits cut back. Without the head of contours it is
    the plain network of several levels.

    The layers are those of a transcription of an early program, with one convolution for each resolution; the paper's
    encoder is that of DeepLab, with [2, 2, 3, 3, 3, 1]. The authors' program was not seen.

    Source: Chen, Qi, Yu and Heng, CVPR 2016, arXiv 1604.02677.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int] = (64, 128, 256, 512, 512, 1024),
        convs: Sequence[int] = (1, 1, 1, 1, 1, 1),
        enlarging: str = "transposed",
        auxiliary: Mapping[str, Sequence[str]] | None = None,
        dropout: float = 0.5,
        norm: str = "none",
        groups: int = 8,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            channels: of each resolution, from the highest to the lowest.
            convs: convolutions of each resolution.
            enlarging: to the size of the image: "transposed", dense convolutions of twice the stride as kernel that
                begin as a linear interpolation; "linear", scores of each resolution that are interpolated.
            auxiliary: head -> names of the heads that are its branch's classifiers, from the highest of the three
                resolutions to the lowest; those that the task lacks are left out.
            dropout: rate in front of the two lowest resolutions' classifiers.
            norm: a key of `blocks.NORMS`, of the encoder.
            groups: of a group norm.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where the numbers do not agree.
        """
        super().__init__()
        if len(channels) < CLASSIFIERS or len(convs) != len(channels):
            raise UserError(
                f"model.convs={list(convs)} needs a number for each of model.channels={list(channels)}, three or more"
            )
        pool = DOWN["max_pool"]
        assert pool is not None
        self.encoder = nn.ModuleList()
        above = in_channels
        for width, depth in zip(channels, convs, strict=True):
            layers: list[nn.Module] = [pool[spatial_dims](2)] if self.encoder else []
            for _ in range(depth):
                layers.append(ConvBlock(spatial_dims, above, width, norm=norm, groups=groups))
                above = width
            self.encoder.append(nn.Sequential(*layers))
        self.divisor = 2 ** (len(channels) - 1)
        self.dropout = nn.Dropout(dropout)
        initialise(self, init)

        named = {
            one: (head, level)
            for head, classifiers in (auxiliary or {}).items()
            for level, one in enumerate(classifiers)
            if one in heads
        }
        for one, (head, level) in named.items():
            if head not in heads or heads[head] != heads[one] or level >= CLASSIFIERS:
                raise UserError(
                    f"model.auxiliary.{head}: {one} must be one of {CLASSIFIERS} heads with as many channels as {head}"
                )
        self.sources = {head: named.get(head, (head, None)) for head in heads}
        scales = [2**level for level in range(len(channels))][-CLASSIFIERS:]
        self.branches = nn.ModuleDict()
        for head, classes in heads.items():
            if head not in named:
                self.branches[head] = nn.ModuleList(
                    _classifier(spatial_dims, width, classes, scale, enlarging)
                    for width, scale in zip(channels[-CLASSIFIERS:], scales, strict=True)
                )

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, *P) of every head, for `image` (B, C, *P), any P."""
        size = image.shape[2:]
        x = match_size(image, padded_size(size, self.divisor), "pad")
        features = []
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
        features = features[-CLASSIFIERS:]
        features[1:] = [self.dropout(feature) for feature in features[1:]]
        scores: dict[str, list[Tensor]] = {}
        for head, branch in self.branches.items():
            assert isinstance(branch, nn.ModuleList)
            scores[head] = [
                match_size(layer(feature), size, "crop") for layer, feature in zip(branch, features, strict=True)
            ]
        return {
            head: torch.stack(scores[source]).sum(0) if level is None else scores[source][level]
            for head, (source, level) in self.sources.items()
        }


def _classifier(dims: int, width: int, classes: int, scale: int, enlarging: str) -> nn.Module:
    """From features (B, width, *P) to scores (B, classes, *(scale P))."""
    if enlarging == "linear":
        score = CONV[dims](width, classes, 1)
        return nn.Sequential(score, nn.Upsample(scale_factor=scale, mode=LINEAR[dims], align_corners=False))
    larger = TRANSPOSED_CONV[dims](width, classes, 2 * scale, stride=scale, padding=scale // 2)
    interpolating(larger)
    return nn.Sequential(larger, nn.ReLU(inplace=True), CONV[dims](classes, classes, 1))


def interpolating(layer: nn.ConvTranspose2d | nn.ConvTranspose3d) -> None:
    """Make a transposed convolution, whose kernel is twice its stride, a linear interpolation of mixed channels."""
    ramp = 1 - (torch.arange(layer.kernel_size[0]) + 0.5 - layer.stride[0]).abs() / layer.stride[0]
    kernel = ramp
    for _ in layer.kernel_size[1:]:
        kernel = kernel[..., None] * ramp
    with torch.no_grad():
        mixing = torch.randn(layer.weight.shape[:2]) * (2 / layer.in_channels) ** 0.5
        layer.weight.copy_(mixing.reshape(*mixing.shape, *[1] * kernel.ndim) * kernel)
        assert layer.bias is not None
        layer.bias.zero_()
