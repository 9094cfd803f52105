"""The first convolutional network trained by back-propagation: LeCun et al., Neural Computation 1 (1989).

Layer sizes and scaled tanh are recalled from the paper, not read again; the number of free parameters (9,760 for one
channel and ten classes) and of connections (64,660) agree with it. The paper does not print which maps of the first
layer each map of the second one sees: see `TABLE`. Its squared error on +-1 targets is left to `loss`, which takes the
logits of an output layer without tanh; its border value -1 (background) is 0 here, the mean of a normalised image.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from segbench.models.centre_view import centre_view, check_2d, one_pixel
from segbench.models.heads import Outputs

SIDE = 16
MAPS = 12
SEEN = 8
HIDDEN = 30
TABLE = tuple(tuple((number + offset) % MAPS for offset in range(SEEN)) for number in range(MAPS))
"""For each map of the second layer the eight maps of the first that it sees: itself and the next seven, in a circle,
so that each map of the first is seen by eight of the second. Our choice."""


class ScaledTanh(nn.Module):
    """A tanh(S a) with A = 1.7159 and S = 2 / 3, for which f(1) = 1 and f(-1) = -1."""

    def forward(self, x: Tensor) -> Tensor:
        """The scaled tanh of each element."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class UnitBiasConv(nn.Module):
    """A 5x5 convolution of stride 2 whose maps share weights, but whose units each have a bias of their own.

    (B, C, 2 * side, 2 * side) -> (B, 12, side, side); every map sees the input maps that its row of `table` names.
    """

    sources: Tensor

    def __init__(self, table: tuple[tuple[int, ...], ...], side: int) -> None:
        """Draw the weights.

        Args:
            table: for each map the maps of the input that it sees, as many for each.
            side: height and width of the output.
        """
        super().__init__()
        self.register_buffer("sources", torch.tensor(table).flatten(), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(table), len(table[0]), 5, 5))
        self.bias = nn.Parameter(torch.empty(len(table), side, side))
        _draw(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weighted sums and biases, without activation."""
        maps = len(self.weight)
        return conv2d(x[:, self.sources], self.weight, stride=2, padding=2, groups=maps) + self.bias


class LeNet(nn.Module):
    """Two convolutional layers and two fully connected ones, on patches of 16 x 16 pixels.

    Source: LeCun et al., Neural Computation 1, 1989.
    """

    def __init__(self, spatial_dims: int, in_channels: int, heads: Mapping[str, int]) -> None:
        """Build the network.

        Args:
            spatial_dims: 2.
            in_channels: channels of the image; the paper has one.
            heads: name -> channels of its logits.

        Raises:
            UserError: where the data is 3D.
        """
        super().__init__()
        check_2d(spatial_dims, "lenet")
        everything = (tuple(range(in_channels)),) * MAPS
        self.layers = nn.Sequential(
            UnitBiasConv(everything, SIDE // 2),
            ScaledTanh(),
            UnitBiasConv(TABLE, SIDE // 4),
            ScaledTanh(),
            nn.Flatten(),
            nn.Linear(MAPS * (SIDE // 4) ** 2, HIDDEN),
            ScaledTanh(),
            nn.Linear(HIDDEN, sum(heads.values())),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                _draw(layer.weight, layer.bias)
        self.heads = dict(heads)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, 1, 1) of every head: of the centre of `image` (B, C, H, W), resized to 16 x 16."""
        return one_pixel(self.layers(centre_view(image, SIDE)), self.heads)


def _draw(weight: Tensor, bias: Tensor) -> None:
    """Uniform between -2.4 / F and 2.4 / F, where F is the number of inputs of a unit, its bias included."""
    limit = 2.4 / (weight[0].numel() + 1)
    nn.init.uniform_(weight, -limit, limit)
    nn.init.uniform_(bias, -limit, limit)
