"""Multi-scale context networks: the class of a patch's centre, from views of it at several scales.

Sirinukunwattana, Alham, Verrill and Rittscher, "Improving Whole Slide Segmentation Through Visual Context - A
Systematic Study" (MICCAI 2018, arXiv 1806.04259), methods A to J. Known from the authors' code is method G; the others
are inferred from published parameter counts, which they match, except E: printed are 7.3 million, and its views as
twelve channels of one encoder have 7,226,116. Not known: which of A to D sees which view, how method E fuses, and
whether anything non-linear stands between the two last layers (in the code of G there is nothing). Not built: the
confidence map of the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import ACTIVATIONS, NORMS, choose
from segbench.models.centre_view import centre_view, check_2d, one_pixel
from segbench.models.heads import Outputs

FUSIONS = {
    "none": "one view",
    "channels": "the views are stacked as channels of one image",
    "concatenate": "the views' features, side by side",
    "lstm": "an LSTM reads the views' features one after the other; its hidden states, side by side",
}
"""Fusions of several views, by name."""


def view_encoder(
    in_channels: int,
    side: int,
    width: int,
    features: int,
    *,
    norm: str = "batch",
    groups: int = 8,
    act: str = "leaky_relu",
    slope: float = 0.2,
) -> nn.Sequential:
    """The encoder of one view (B, in_channels, side, side) -> (B, features), after DCGAN (Radford et al. 2016).

    Convolutions 4x4 of stride 2 down to 4x4 pixels, each with a norm but the first, and an activation; then a
    4x4 convolution to a vector, with a bias and no activation.

    Args:
        in_channels: of the view.
        side: of the view in pixels, 4 times a power of two.
        width: channels of the first convolution; they double up to eight times as many.
        features: length of the vector.
        norm: a key of `blocks.NORMS`; the authors' is batch.
        groups: of a group norm.
        act: a key of `blocks.ACTIVATIONS`; the authors' is leaky_relu.
        slope: of a leaky ReLU below zero.

    Raises:
        UserError: where `norm` or `act` is unknown.
    """
    activation = choose(ACTIVATIONS, act, "model.act")
    normalisation = choose(NORMS, norm, "model.norm")
    stages = round(math.log2(side / 4))
    channels = [in_channels, *(width * min(2**stage, 8) for stage in range(stages))]
    layers: list[nn.Module] = []
    for stage, (before, after) in enumerate(pairwise(channels)):
        pieces = after * activation.pieces
        bias = stage > 0 and norm == "none"  # a norm has its own; the first convolution has none, as the authors'
        layers.append(nn.Conv2d(before, pieces, kernel_size=4, stride=2, padding=1, bias=bias))
        if stage > 0 and norm != "none":
            layers.append(normalisation(2, pieces, groups))
        layers.append(activation.build(after, slope))
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], features, kernel_size=4), nn.Flatten())


class ContextNet(nn.Module):
    """A classifier of a patch's centre from encoded views of the patch.

    Source: Sirinukunwattana, Alham, Verrill and Rittscher, MICCAI 2018, arXiv 1806.04259.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        zooms: Sequence[int] = (1, 2, 4, 8),
        view: int = 64,
        shared: bool = True,
        fusion: str = "concatenate",
        width: int = 64,
        features: int = 512,
        dropout: float = 0.0,
        norm: str = "batch",
        groups: int = 8,
        act: str = "leaky_relu",
        slope: float = 0.2,
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            zooms: for each view, how many times smaller than the patch the field is that it shows, coarse to fine.
            view: height and width of every view in pixels; the nearest 4 * 2**n is taken, n >= 1.
            shared: whether one encoder serves all views, or each has its own.
            fusion: a key of `FUSIONS`.
            width: channels of the encoders' first convolution.
            features: length of the encoders' vectors, of the LSTM's state and of the hidden layer.
            dropout: rate, in front of the last layer. (The authors' call leaves it on at test time; this one
                does not.)
            norm: a key of `blocks.NORMS`, in the encoders.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`, in the encoders.
            slope: of leaky ReLUs below zero.

        Raises:
            UserError: where a value is impossible, or the data is 3D.
        """
        super().__init__()
        check_2d(spatial_dims, "context_*")
        choose(FUSIONS, fusion, "model.fusion")
        if not zooms or min(zooms) < 1 or (fusion == "none") != (len(zooms) == 1):
            raise UserError(
                f"model.zooms={list(zooms)} and model.fusion={fusion}: one view needs fusion=none, several another,"
                " and every zoom is at least 1"
            )
        if view < 6 or width < 1 or features < 1:
            raise UserError(
                f"model.view={view} model.width={width} model.features={features}: a view has 8 pixels or more,"
                " a width and a vector 1 or more"
            )
        self.zooms = tuple(zooms)
        self.side = 4 * 2 ** max(1, round(math.log2(view / 4)))
        self.fusion = fusion
        stacked = fusion == "channels"
        count = 1 if shared or stacked else len(zooms)
        channels = in_channels * (len(zooms) if stacked else 1)
        layers: dict[str, Any] = {"norm": norm, "groups": groups, "act": act, "slope": slope}
        self.encoders = nn.ModuleList(
            [view_encoder(channels, self.side, width, features, **layers) for _ in range(count)]
        )
        self.lstm = nn.LSTMCell(features, features) if fusion == "lstm" else None
        joined = features * (1 if stacked else len(zooms))
        self.hidden = nn.Linear(joined, features)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(features, sum(heads.values()))
        self.heads = dict(heads)
        _initialise(self)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, 1, 1) of every head: of the centre of `image` (B, C, H, W), of any size."""
        views = [centre_view(image, self.side, zoom) for zoom in self.zooms]
        if self.fusion == "channels":
            views = [torch.cat(views, dim=1)]
        if len(self.encoders) == 1:
            # In one batch: view after view, batch norm would train on the statistics of each view, but test on the
            # running mean of all, which fits none of them.
            found = list(self.encoders[0](torch.cat(views)).chunk(len(views)))
        else:
            found = [encoder(view) for encoder, view in zip(self.encoders, views, strict=True)]
        if self.lstm is not None:
            state: tuple[Tensor, Tensor] | None = None
            for number, vector in enumerate(found):
                state = self.lstm(vector, state)
                found[number] = state[0]
        logits = self.last(self.dropout(self.hidden(torch.cat(found, dim=1))))
        return one_pixel(logits, self.heads)


def _initialise(net: nn.Module) -> None:
    """Draw the authors' weights: normal, deviation 0.01 in linear layers, sqrt(2 / fan-out) in convolutions."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
