"""The multi-layer perceptron: fully connected layers on the pixels of a patch.

One hidden layer approximates any continuous function (Cybenko 1989; Hornik 1991); as a classifier of the patch's
centre it knows nothing of translations or neighbourhoods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import ACTIVATIONS, choose
from segbench.models.centre_view import centre_view, check_2d, one_pixel
from segbench.models.heads import Outputs


class MLP(nn.Module):
    """h = act(W x + b), as often as there are hidden layers, then logits (B, K, 1, 1).

    Source: Cybenko 1989; Hornik 1991.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        view: int = 32,
        hidden: Sequence[int] = (256,),
        act: str = "sigmoid",
        slope: float = 0.01,
    ) -> None:
        """Build the layers.

        Args:
            spatial_dims: 2.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            view: height and width in pixels to which a patch is resized; a patch of this size is taken as it is.
            hidden: units of each hidden layer.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.

        Raises:
            UserError: where a value is impossible, or the data is 3D.
        """
        super().__init__()
        check_2d(spatial_dims, "mlp")
        if view < 1 or min(hidden, default=1) < 1:
            raise UserError(f"model.view={view} model.hidden={list(hidden)}: every size must be at least 1")
        activation = choose(ACTIVATIONS, act, "model.act")
        self.side = view
        widths = [in_channels * view * view, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after * activation.pieces), activation.build(after, slope)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], sum(heads.values())))
        self.heads = dict(heads)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, 1, 1) of every head: of the centre of `image` (B, C, H, W), of any size."""
        return one_pixel(self.layers(centre_view(image, self.side)), self.heads)
