"""VoxResNet of Chen et al. (NeuroImage 2018, arXiv 1608.05895), in two and three dimensions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import CONV, NORMS, TRANSPOSED_CONV, choose, initialise, match_size, padded_size
from segbench.models.heads import Outputs

LEVELS = 4
"""Classifiers, each of features at another resolution."""


class VoxResNet(nn.Module):
    """Residual modules whose norms and activations come first, and four classifiers whose scores are summed.

    An image of any size is padded to what the strides need, and the logits cut back. A second pass that sees the
    probabilities of a first one (auto-context) is a run with `stages` and `data.input_arrays`.

    Source: Chen, Dou, Yu, Qin and Heng, NeuroImage 2018, arXiv 1608.05895.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int] = (32, 64),
        stride: int | Sequence[int] = 2,
        flat: bool = False,
        classifier: int | None = None,
        auxiliary: Mapping[str, int] | None = None,
        norm: str = "batch",
        groups: int = 8,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image: its modalities, and the probabilities of a first pass.
            heads: name -> channels of its logits.
            channels: of the first two convolutions, and of all others.
            stride: of the three strided convolutions, for all axes or each: [1, 2, 2] for thick slices.
            flat: whether the second convolution and the first one of each module are 1x3x3 (a transcription's).
            classifier: channels of the enlarged features of each classifier; None: those of its head.
            auxiliary: head -> classifier that it is, from 0 (full resolution) to 3; heads not named are the sum
                of their four.
            norm: a key of `blocks.NORMS`, in front of each convolution but the first.
            groups: of a group norm.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where the numbers do not agree.
        """
        super().__init__()
        if len(channels) != 2:
            raise UserError(f"model.channels={list(channels)} needs two numbers, such as [32, 64]")
        steps = (stride,) * spatial_dims if isinstance(stride, int) else tuple(stride)
        if len(steps) != spatial_dims:
            raise UserError(f"model.stride={list(steps)} needs a number for each of {spatial_dims} axes")
        narrow, wide = channels
        whole = (3,) * spatial_dims
        thin = (1, *whole[1:]) if flat else whole

        def conv(first: int, last: int, kernel: tuple[int, ...], step: tuple[int, ...] | int = 1) -> nn.Module:
            padding = tuple(size // 2 for size in kernel)
            layer = CONV[spatial_dims](first, last, kernel, stride=step, padding=padding)  # type: ignore[arg-type]
            return nn.Sequential(choose(NORMS, norm, "model.norm")(spatial_dims, first, groups), nn.ReLU(), layer)

        def module() -> nn.Module:
            return Residual(nn.Sequential(conv(wide, wide, thin), conv(wide, wide, whole)))

        self.first = CONV[spatial_dims](in_channels, narrow, 3, padding=1)
        self.parts = nn.ModuleList([conv(narrow, narrow, thin)])
        for above in (narrow, wide, wide):
            self.parts.append(nn.Sequential(conv(above, wide, whole, steps), module(), module()))
        scales = [tuple(step**level for step in steps) for level in range(LEVELS)]
        kernels = [whole, *scales[1:]]
        levels = {name: level for name, level in (auxiliary or {}).items() if name in heads}
        for name, level in levels.items():
            if not 0 <= level < LEVELS:
                raise UserError(f"model.auxiliary.{name}={level}: must be from 0 to {LEVELS - 1}")
        self.auxiliary = levels
        self.classifiers = nn.ModuleDict()
        for name, classes in heads.items():
            if name in levels:
                continue
            between = classifier or classes
            self.classifiers[name] = nn.ModuleList(
                nn.Sequential(
                    TRANSPOSED_CONV[spatial_dims](
                        width,
                        between,
                        kernel,
                        stride=scale,
                        padding=1 if scale == scales[0] else 0,  # type: ignore[arg-type]
                    ),
                    CONV[spatial_dims](between, classes, 1),
                )
                for width, kernel, scale in zip((narrow, wide, wide, wide), kernels, scales, strict=True)
            )
        self.main = {name: _main(name, classes, heads, levels) for name, classes in heads.items()}
        self.divisor = tuple(math.prod((step,) * (LEVELS - 1)) for step in steps)
        initialise(self, init)

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, *P) of every head, for `image` (B, C, *P), any P."""
        size = image.shape[2:]
        x = self.first(match_size(image, padded_size(size, self.divisor), "pad"))
        features = []
        for part in self.parts:
            x = part(x)
            features.append(x)
        scores: dict[str, list[Tensor]] = {}
        for name, layers in self.classifiers.items():
            assert isinstance(layers, nn.ModuleList)
            scores[name] = [
                match_size(layer(feature), size, "crop") for layer, feature in zip(layers, features, strict=True)
            ]
        return {
            name: scores[main][self.auxiliary[name]] if name in self.auxiliary else torch.stack(scores[name]).sum(0)
            for name, main in self.main.items()
        }


class Residual(nn.Module):
    """A module whose input is added to its output."""

    def __init__(self, inner: nn.Module) -> None:
        """Args: inner: keeps channels and size."""
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *P) -> (B, C, *P)."""
        return cast(Tensor, x + self.inner(x))


def _main(name: str, classes: int, heads: Mapping[str, int], auxiliary: Mapping[str, int]) -> str:
    """The head whose classifiers a head is computed from: itself, of an auxiliary one the first of as many channels."""
    if name not in auxiliary:
        return name
    same = [head for head, channels in heads.items() if head not in auxiliary and channels == classes]
    if not same:
        raise UserError(f"model.auxiliary.{name}: no other head has {classes} channels, whose classifier it could be")
    return same[0]
