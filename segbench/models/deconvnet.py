"""DeconvNet of Noh, Hong and Han (ICCV 2015, arXiv 1505.04366)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import initialise, match_size, padded_size
from segbench.models.heads import Heads, Outputs
from segbench.models.vgg import CHANNELS, CONVS, FC, Unit, pool, pretrained, scaled, stages, transplant, unpool

SIZE = 224
"""The side in pixels of what fc6 of VGG16 turns into one pixel."""


class DeconvNet(nn.Module):
    """VGG16 with batch norm down to fc7, and its mirror image: unpooling and transposed convolutions.

    An image of any size is padded to a multiple of 32, and the logits cut back. The authors train it on crops
    around objects and merge the predictions of object proposals (recalled, not verified); here it is a network like any
    other.

    Source: Noh, Hong and Han, ICCV 2015, arXiv 1505.04366.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        fc6_padding: int = 3,
        width: float = 1.0,
        norm: str = "batch",
        groups: int = 8,
        act: str = "relu",
        slope: float = 0.01,
        weights: str | None = None,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2.
            in_channels: channels of the image.
            heads: name -> channels of its logits; each is a 1x1 convolution of the last features.
            fc6_padding: of the 7x7 convolution fc6: 0 as in the paper, which turns 224x224 pixels into one (smaller
                images are padded to that), or 3, which keeps the size at a 32nd of any image.
            width: times the channels of VGG16.
            norm: a key of `blocks.NORMS`, behind every convolution.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            weights: "imagenet" for trained weights of VGG16, fc6 and fc7 included; None draws them.
            init: a key of `blocks.INITIALISATIONS`, for what has no trained weights.

        Raises:
            UserError: where the data is 3D, a value is unknown, or the weights cannot be had or do not fit.
        """
        super().__init__()
        if spatial_dims != 2:
            raise UserError(
                f"DeconvNet is 2D only, but the data has {spatial_dims} spatial dimensions; model=unet or model=segnet"
                " take both"
            )
        if fc6_padding not in (0, 3):
            raise UserError(f"model.fc6_padding={fc6_padding} must be 0, for images of 224 pixels, or 3, for any size")
        channels, (fc,) = scaled(CHANNELS, width), scaled([FC], width)
        settings: dict[str, Any] = {"norm": norm, "groups": groups, "act": act, "slope": slope}
        self.least = 1 if fc6_padding else SIZE
        self.normalises = norm != "none"
        self.encoder = stages(2, in_channels, channels, CONVS, **settings)
        self.fc6 = Unit(2, channels[-1], fc, kernel=7, padding=fc6_padding, **settings)
        self.fc7 = Unit(2, fc, fc, kernel=1, **settings)
        self.fc6_mirrored = Unit(2, fc, channels[-1], kernel=7, padding=fc6_padding, transposed=True, **settings)
        self.decoder = nn.ModuleList()
        for (above, below), depth in reversed(list(zip(pairwise([channels[0], *channels]), CONVS, strict=True))):
            outputs = [below] * (depth - 1) + [above]
            units = (Unit(2, *pair, transposed=True, **settings) for pair in pairwise([below, *outputs]))
            self.decoder.append(nn.Sequential(*units))
        self.heads = Heads(2, channels[:1], heads, deep_supervision=False)
        initialise(self, init)
        if weights is not None:
            trunk, connected = pretrained(weights, norm, in_channels)
            transplant(trunk, self.encoder)
            convolutions = [unit[0] for unit in (self.fc6, self.fc7)]  # VGG16 has no norm there
            transplant(connected, nn.Sequential(*convolutions))

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, H, W) of every head, for `image` (B, C, H, W) of any size.

        Raises:
            UserError: where batch norm is trained on a batch of one that fc6 makes a single pixel of.
        """
        size = image.shape[2:]
        x = match_size(image, [max(n, self.least) for n in padded_size(size, 32)], "pad")
        if self.training and self.normalises and self.least > 1 and len(x) == 1 and max(x.shape[2:]) == SIZE:
            raise UserError(
                "model.fc6_padding=0 makes a single pixel of a patch, and one of them has no variance for model.norm:"
                " set data.batch_size=2 or more, or model.fc6_padding=3"
            )
        switches: list[Tensor] = []
        for stage in self.encoder:
            x, places = pool(stage(x))
            switches.append(places)
        x = self.fc6_mirrored(self.fc7(self.fc6(x)))
        for stage in self.decoder:
            x = stage(unpool(x, switches.pop()))
        outputs: Outputs = self.heads([x], size)
        return outputs
