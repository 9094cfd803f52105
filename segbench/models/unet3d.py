"""3D U-Net of Çiçek et al. 2016, and with the auxiliary heads of Zeng et al. 2017; in two and three dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import CONV, DOWN, TRANSPOSED_CONV, ConvBlock, choose, initialise, match_size
from segbench.models.heads import Outputs
from segbench.models.unet import PADDINGS
from segbench.models.valid_convolutions import SizedNetwork, ValidSizes


class UNet3D(SizedNetwork):
    """A U-Net that doubles its channels in front of each pooling, and keeps them when it doubles the size.

    Valid convolutions predict the centre of what the network sees, and take certain sizes only: with three poolings
    92, 100, 108, .. voxels, 8 k + 4. Padded convolutions take any size.

    Source: Çiçek, Abdulkadir, Lienkamp, Brox and Ronneberger, MICCAI 2016, arXiv 1606.06650.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int] = (64, 128, 256, 512),
        norm: str = "batch",
        groups: int = 8,
        act: str = "relu",
        slope: float = 0.01,
        padding: str = "valid",
        auxiliary: Mapping[str, int] | None = None,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            channels: of each stage's second convolution, from the highest resolution to the lowest; its first one has
                half as many.
            norm: a key of `blocks.NORMS`, between convolution and activation.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            padding: "valid", or "same".
            auxiliary: head -> how often the features that it is computed from are halved: 1 for those of half the
                resolution. Such a head is enlarged to the size of the image by a transposed convolution (Zeng et al.
                2017); heads that are not named are those of full resolution.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where a value is unknown, or an auxiliary head is at a resolution that the decoder has not.
        """
        super().__init__()
        if len(channels) < 2 or any(width % 2 for width in channels):
            raise UserError(
                f"model.channels={list(channels)} needs two stages or more, of even numbers, such as [16, 32]"
            )
        around = choose(PADDINGS, padding, "model.padding")
        pool = DOWN["max_pool"]
        assert pool is not None
        levels = {name: level for name, level in (auxiliary or {}).items() if name in heads}
        _check(levels, len(channels), around)

        def block(first: int, last: int) -> ConvBlock:
            settings = {"norm": norm, "groups": groups, "act": act, "slope": slope}
            return ConvBlock(spatial_dims, first, last, padding=around, bias=True, **settings)  # type: ignore[arg-type]

        self.encoder = nn.ModuleList()
        for above, width in pairwise([in_channels, *channels]):
            stage: list[nn.Module] = [block(above, width // 2), block(width // 2, width)]
            self.encoder.append(nn.Sequential(*([pool[spatial_dims](2)] if self.encoder else []), *stage))
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        for width, below in reversed(list(pairwise(channels))):
            self.ups.append(TRANSPOSED_CONV[spatial_dims](below, below, 2, stride=2, bias=False))
            self.decoder.append(nn.Sequential(block(width + below, width), block(width, width)))
        self.levels = {name: levels.get(name, 0) for name in heads}
        self.heads = nn.ModuleDict(
            {
                name: _head(spatial_dims, channels[self.levels[name]], classes, self.levels[name])
                for name, classes in heads.items()
            }
        )
        self.stride = 2 ** (len(channels) - 1)
        self.valid = None if around else ValidSizes((2,) * len(channels), 0)
        initialise(self, init)

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every head, for `image` (B, C, *P): (B, K, *P), with valid convolutions (B, K, *Q), the centre.

        Raises:
            UserError: where valid convolutions cannot take this size.
        """
        x, size = self.fitted(image)
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        features: list[Tensor] = []
        for up, stage in zip(self.ups, self.decoder, strict=True):
            doubled = up(x)
            x = stage(torch.cat([match_size(skips.pop(), doubled.shape[2:], "centre"), doubled], dim=1))
            features.insert(0, x)
        return {name: match_size(head(features[self.levels[name]]), size, "crop") for name, head in self.heads.items()}


def _head(dims: int, width: int, classes: int, level: int) -> nn.Module:
    """A 1x1(x1) convolution, of coarser features after a transposed convolution to the size of the image."""
    last = CONV[dims](width, classes, kernel_size=1)
    if not level:
        return last
    enlarge = TRANSPOSED_CONV[dims](width, width, 2**level, stride=2**level)
    return nn.Sequential(enlarge, last)


def _check(levels: Mapping[str, int], stages: int, around: int) -> None:
    for name, level in levels.items():
        if not 1 <= level < stages - 1:
            raise UserError(
                f"model.auxiliary.{name}={level}: must be from 1 to {stages - 2}: the decoder's resolutions"
            )
    if levels and not around:
        raise UserError("model.auxiliary needs model.padding=same: valid resolutions end at different places")
