"""The Y-shaped autoencoder of Nguyen et al. (BTAS 2019, arXiv 1906.06876): class, mask and image from one code."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import BATCH_NORM, CONV, TRANSPOSED_CONV, match_size, padded_size
from segbench.models.heads import Outputs

Layer = tuple[int, int]
"""Channels and stride of a convolution."""
ENCODER: tuple[Layer, ...] = ((8, 1), (8, 2), (16, 1), (16, 2), (32, 1), (32, 2), (64, 1), (64, 2), (128, 1))
DECODER: tuple[Layer, ...] = ((64, 1), (64, 2), (32, 1), (32, 2))
BRANCH: tuple[Layer, ...] = ((16, 1), (16, 2), (8, 1), (8, 2))


class YAutoencoder(nn.Module):
    """A code of two halves, one for images of either class; the half of the other class is set to zero.

    The class of an image is that of the half with more activity. While it learns, the network is told which class is
    right, so that both halves come to mean one; it then goes by what it finds itself. Decoders share
    their first layers, then each head has its own. Images of any size are padded to a multiple of 16.

    The authors' softmax in front of their cross entropy, which has one itself, and the bound of the reconstruction by
    a tanh, which standardised images do not keep, are left out.

    Source: Nguyen, Fang, Yamagishi and Echizen, BTAS 2019, arXiv 1906.06876; layers as in the authors' program.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        activity: str = "finding",
        width: float = 1.0,
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its outputs.
            activity: the head, of two channels, that is the activity of the halves: one value for an image each.
            width: by which all numbers of channels are multiplied.

        Raises:
            UserError: where the activity has not two channels.
        """
        super().__init__()
        if heads.get(activity, 2) != 2:
            raise UserError(f"task.heads.{activity}={heads[activity]}: the two halves of the code have two activities")
        self.activity = activity
        self.told = (activity,)
        self.order = tuple(heads)
        encoder, decoder, branch = (
            [(max(2, round(width * channels / 2) * 2), stride) for channels, stride in layers]
            for layers in (ENCODER, DECODER, BRANCH)
        )
        self.encoder = _convolutions(spatial_dims, in_channels, encoder)
        self.decoder = _transposed(spatial_dims, encoder[-1][0], decoder)
        last = TRANSPOSED_CONV[spatial_dims]
        self.branches = nn.ModuleDict(
            {
                name: nn.Sequential(
                    _transposed(spatial_dims, decoder[-1][0], branch), last(branch[-1][0], channels, 3, padding=1)
                )
                for name, channels in heads.items()
                if name != activity
            }
        )
        for module in (*self.encoder.modules(), *self.branches.modules()):
            _initialise(module)

    def forward(self, image: Tensor, targets: Mapping[str, Tensor] | None = None) -> Outputs:
        """Outputs of every head, for `image` (B, C, *P), any P.

        Args:
            image: see above.
            targets: of the activity (B, 2, ..), 1 for the class that each image is of and 0 for the other; without it
                the class is found.

        Returns:
            Name -> (B, K, *P); the activity is the same at all pixels.
        """
        size = image.shape[2:]
        code = self.encoder(match_size(image, padded_size(size, 16), "pad"))
        halves = torch.unflatten(code, 1, (2, -1))  # (B, 2, D / 2, *)
        activity = halves.abs().flatten(2).mean(dim=2)
        chosen = targets[self.activity].flatten(1) if targets else activity
        second = (chosen[:, 1] >= chosen[:, 0]).to(code.dtype)
        kept = torch.stack([1 - second, second], dim=1)
        x = self.decoder((halves * kept.reshape(*kept.shape, *[1] * (halves.ndim - 2))).flatten(1, 2))
        outputs = {name: match_size(branch(x), size, "crop") for name, branch in self.branches.items()}
        outputs[self.activity] = activity.reshape(*activity.shape, *[1] * len(size)).expand(-1, -1, *size)
        return {name: outputs[name] for name in self.order}


def _convolutions(dims: int, above: int, layers: list[Layer]) -> nn.Sequential:
    """3x3(x3) convolutions, each with batch norm and ReLU."""
    parts: list[nn.Module] = []
    for width, stride in layers:
        parts += [CONV[dims](above, width, 3, stride=stride, padding=1), BATCH_NORM[dims](width), nn.ReLU(inplace=True)]
        above = width
    return nn.Sequential(*parts)


def _transposed(dims: int, above: int, layers: list[Layer]) -> nn.Sequential:
    """The same of transposed convolutions, which double the size where their stride is 2."""
    parts: list[nn.Module] = []
    for width, stride in layers:
        larger = TRANSPOSED_CONV[dims](above, width, 3, stride=stride, padding=1, output_padding=stride - 1)
        parts += [larger, BATCH_NORM[dims](width), nn.ReLU(inplace=True)]
        above = width
    return nn.Sequential(*parts)


def _initialise(module: nn.Module) -> None:
    """Weights of mean 0 (of norms 1/2) and deviation 0.02, as in the authors' program."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
        nn.init.normal_(module.weight, 0.5, 0.02)
