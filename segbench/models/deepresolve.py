"""DeepResolve of Chaudhari et al. (2018): convolutions that learn what a coarse image lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import CONV, initialise
from segbench.models.heads import Outputs


class DeepResolve(nn.Module):
    """Convolutions of one width without poolings, whose result is added to the image.

    It takes what has the size of what is wanted already: slices that were interpolated.

    Source: Chaudhari et al., Magnetic Resonance in Medicine 80, 2018; layers as in arXiv 1808.04447.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        layers: int = 20,
        width: int = 64,
        residual: Sequence[str] = ("restored",),
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its outputs, each a 3x3(x3) convolution.
            layers: convolutions from the image to the output, two or more.
            width: channels between them.
            residual: heads to whose outputs the image is added, where it has as many channels or more: its first ones.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where there are fewer than two layers.
        """
        super().__init__()
        if layers < 2:
            raise UserError(f"model.layers={layers}: must be at least 2")
        convs: list[nn.Module] = []
        for above in (in_channels, *[width] * (layers - 2)):
            convs += [CONV[spatial_dims](above, width, 3, padding=1), nn.ReLU(inplace=True)]
        self.features = nn.Sequential(*convs)
        self.heads = nn.ModuleDict(
            {name: CONV[spatial_dims](width, channels, 3, padding=1) for name, channels in heads.items()}
        )
        self.residual = {name for name, channels in heads.items() if name in residual and channels <= in_channels}
        initialise(self, init)

    def forward(self, image: Tensor) -> Outputs:
        """Outputs (B, K, *P) of every head, for `image` (B, C, *P), any P."""
        x = self.features(image)
        return {
            name: image[:, : head.out_channels] + head(x) if name in self.residual else head(x)
            for name, head in self.heads.items()
        }
