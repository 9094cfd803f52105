"""Numbers in the feature maps of a U-Net: what its memory is estimated from, without the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segbench.planning.topology import Topology


@dataclass(frozen=True)
class Layout:
    """The parts of a U-Net.

    Attributes:
        topology: its stages.
        features: channels of each.
        encoder: convolutions, or residual blocks, of each stage of the encoder.
        decoder: convolutions of each stage of the decoder, the highest resolution first.
    """

    topology: Topology
    features: tuple[int, ...]
    encoder: tuple[int, ...]
    decoder: tuple[int, ...]

    @property
    def volumes(self) -> list[int]:
        """Voxels of each stage's features."""
        return [math.prod(size) for size in self.topology.sizes]


Count = Callable[[Layout, int, int], int]
"""(Layout, channels of the image, classes) -> numbers in the outputs of all convolutions for one patch."""


def plain(layout: Layout, channels: int, classes: int) -> int:
    """Of convolutions in encoder and decoder, transposed convolutions, and the last one."""
    return _levels(layout, layout.encoder) + _decoder(layout, classes)


def with_image(layout: Layout, channels: int, classes: int) -> int:
    """The same and the image itself: the estimate of 2019."""
    return plain(layout, channels, classes) + channels * layout.volumes[0]


def image_alone(layout: Layout, channels: int, classes: int) -> int:
    """Of one channel of the image: the budget of 2018 is one of voxels."""
    return layout.volumes[0]


def residual(layout: Layout, channels: int, classes: int) -> int:
    """Of a stem, residual blocks of two convolutions (three where size or channels change), and a decoder."""
    stem = layout.features[0] * layout.volumes[0]
    before = (layout.features[0], *layout.features)
    changed = [
        width != above or max(stride) > 1
        for above, width, stride in zip(before, layout.features, layout.topology.strides, strict=False)
    ]
    convs = [2 * blocks + projection for blocks, projection in zip(layout.encoder, changed, strict=True)]
    return stem + _levels(layout, convs) + _decoder(layout, classes)


def _levels(layout: Layout, convs: Sequence[int]) -> int:
    """Numbers in the outputs of so many convolutions of each stage."""
    return sum(
        count * width * volume for count, width, volume in zip(convs, layout.features, layout.volumes, strict=False)
    )


def _decoder(layout: Layout, classes: int) -> int:
    return _levels(layout, [count + 1 for count in layout.decoder]) + classes * layout.volumes[0]
