"""CARE of Weigert et al. (Nature Methods 2018): a U-Net that restores images, and one behind a learnt projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.models.blocks import CONV, DOWN, initialise, match_size, padded_size
from segbench.models.heads import Outputs


class Care(nn.Module):
    """A U-Net whose decoder narrows early, and that learns the difference to the image.

    An image of any size is padded to what the strides need, and the outputs cut back.

    Source: Weigert et al., Nature Methods 15, 2018; layers as in the authors' program (CSBDeep).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        depth: int = 2,
        width: int = 32,
        kernel: int = 5,
        residual: Sequence[str] = ("restored",),
        init: str = "xavier",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its outputs.
            depth: how often the size is halved.
            width: channels of the first convolutions; they double with every halving.
            kernel: size of the convolutions, odd.
            residual: heads to whose outputs the image is added, where it has as many channels or more: its first ones.
            init: a key of `blocks.INITIALISATIONS`.
        """
        super().__init__()
        pool = DOWN["max_pool"]
        assert pool is not None
        self.pool = pool[spatial_dims](2)

        def convs(*widths: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for first, last in pairwise(widths):
                layers += [CONV[spatial_dims](first, last, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
            return nn.Sequential(*layers)

        widths = [width * 2**level for level in range(depth)]
        self.encoder = nn.ModuleList(convs(above, one, one) for above, one in pairwise([in_channels, *widths]))
        lowest = widths[-1] if widths else in_channels
        self.bottom = convs(lowest, width * 2**depth, width * 2 ** max(0, depth - 1))
        self.up = nn.Upsample(scale_factor=2)
        # Each level hands on as many channels as the level above has, so that both halves of the next are as wide.
        self.decoder = nn.ModuleList(
            convs(2 * width * 2**level, width * 2**level, width * 2 ** max(0, level - 1))
            for level in reversed(range(depth))
        )
        self.heads = nn.ModuleDict({name: CONV[spatial_dims](width, channels, 1) for name, channels in heads.items()})
        self.residual = {name for name, channels in heads.items() if name in residual and channels <= in_channels}
        self.divisor = 2**depth
        initialise(self, init)

    def forward(self, image: Tensor) -> Outputs:
        """Outputs (B, K, *P) of every head, for `image` (B, C, *P), any P."""
        size = image.shape[2:]
        x = match_size(image, padded_size(size, self.divisor), "pad")
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for stage in self.decoder:
            x = stage(torch.cat([self.up(x), skips.pop()], dim=1))
        outputs = {name: match_size(head(x), size, "crop") for name, head in self.heads.items()}
        return {
            name: image[:, : values.shape[1]] + values if name in self.residual else values
            for name, values in outputs.items()
        }


class Projected(nn.Module):
    """A two-dimensional network of the projection of a stack, whose slices are the channels of the image.

    Each pixel of the projection is a mean over the slices, whose weights another network finds: convolutions in three
    dimensions, poolings across the slices' plane alone, and a softmax along the stack. A stack of equal slices
    is its own projection.

    Source: Weigert et al., Nature Methods 15, 2018; layers as in the authors' program (CSBDeep).
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        depth: int = 4,
        width: int = 8,
        net_depth: int = 2,
        net_width: int = 32,
        net_kernel: int = 5,
        residual: Sequence[str] = ("restored",),
        init: str = "xavier",
    ) -> None:
        """Build the networks.

        Args:
            spatial_dims: 2.
            in_channels: slices of the stack, any number.
            heads: name -> channels of its outputs.
            depth: how often the weighing network halves the plane.
            width: its channels.
            net_depth: `depth` of the `Care` behind it.
            net_width: its `width`.
            net_kernel: its `kernel`.
            residual: its `residual`.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where `spatial_dims` is not 2.
        """
        super().__init__()
        if spatial_dims != 2:
            raise UserError("model: a projection is of a stack whose slices are channels, an image in two dimensions")
        # A convolution in three dimensions is one in the plane of each slice and its two neighbours: so its weights
        # have the axes of an image's, as whoever changes their memory format expects.
        widths = [width] * (2 * depth + 1)
        self.weigh = nn.ModuleList(
            nn.Conv2d(3 * above, below, 3, padding=1) for above, below in pairwise([1, *widths, 1])
        )
        self.depth = depth
        self.divisor = 2**depth
        initialise(self, init)
        self.net = Care(2, 1, heads, depth=net_depth, width=net_width, kernel=net_kernel, residual=residual, init=init)

    def forward(self, image: Tensor) -> Outputs:
        """Outputs (B, K, *P) of every head, for a stack (B, Z, *P), any P."""
        outputs: Outputs = self.net(self.project(image))
        return outputs

    def project(self, stack: Tensor) -> Tensor:
        """The weighted mean (B, 1, *P) of the slices of a stack (B, Z, *P)."""
        size, slices = stack.shape[2:], stack.shape[1]
        x = match_size(stack, padded_size(size, self.divisor), "pad").flatten(0, 1)[:, None]
        *convs, last = self.weigh
        for number, conv in enumerate(convs):
            if number > self.depth:
                x = F.interpolate(x, scale_factor=2.0)
            x = conv(_with_neighbours(x, slices)).relu()
            if number < self.depth:
                x = F.max_pool2d(x, 2)
        scores = torch.unflatten(last(_with_neighbours(x, slices)), 0, (-1, slices))[:, :, 0]
        weights = match_size(scores, size, "crop").softmax(dim=1)
        return (weights * stack).sum(dim=1, keepdim=True)


def _with_neighbours(x: Tensor, slices: int) -> Tensor:
    """Each slice between the one below and the one above, zeros beyond the stack: (B Z, C, *P) -> (B Z, 3 C, *P)."""
    stack = torch.unflatten(x, 0, (-1, slices))
    beyond = torch.zeros_like(stack[:, :1])
    below, above = torch.cat([beyond, stack[:, :-1]], dim=1), torch.cat([stack[:, 1:], beyond], dim=1)
    return torch.cat([below, stack, above], dim=2).flatten(0, 1)
