"""Fully convolutional networks of Long, Shelhamer and Darrell (CVPR 2015, arXiv 1411.4038; 1605.06211)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.models.blocks import initialise, match_size, padded_size
from segbench.models.heads import Outputs, split_heads
from segbench.models.vgg import CHANNELS, CONVS, FC, Unit, pretrained, scaled, stages, transplant

POOLS = ("pool4", "pool3", "pool2", "pool1")
"""The pools that can be fused, in this order; pool n has one pixel for 2^n of the image."""
How = Literal["learned", "frozen", "interpolate"]


class Enlarge(nn.Module):
    """A transposed convolution for each class alone that starts as bilinear interpolation.

    (B, K, *P) -> (B, K, factor * (P + 1)): half a pixel more on each side than a plain enlargement.
    """

    def __init__(self, channels: int, factor: int, how: How) -> None:
        """Build the kernel, 2 * factor wide.

        Args:
            channels: K.
            factor: by which the size grows, even.
            how: "learned"; "frozen" at the bilinear kernel, as in the authors' release; "interpolate" is torch's
                bilinear interpolation, which repeats the last pixel at the border where a kernel meets zeros.

        Raises:
            UserError: where `how` is another word.
        """
        super().__init__()
        self.factor = factor
        kernel = bilinear_kernel(factor).expand(channels, 1, -1, -1).clone()
        if how == "learned":
            self.weight: Tensor = nn.Parameter(kernel)
        elif how == "frozen":
            self.register_buffer("weight", kernel)
        elif how != "interpolate":
            raise UserError(f"model.upsampling={how} is not one of learned, frozen, interpolate")
        self.interpolates = how == "interpolate"

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge `x` (B, K, H, W)."""
        if not self.interpolates:
            return F.conv_transpose2d(x, self.weight, stride=self.factor, groups=x.shape[1])
        plain = F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)
        return F.pad(plain, [self.factor // 2] * 4, mode="replicate")


def bilinear_kernel(factor: int) -> Tensor:
    """The (2 * factor, 2 * factor) kernel whose transposed convolution of stride `factor` interpolates bilinearly."""
    centre = factor - 0.5
    line = 1 - (torch.arange(2 * factor) - centre).abs() / factor
    return line[:, None] * line


class FCN(nn.Module):
    """VGG16 as convolutions, a score for every class, and scores of finer pools added to it.

    `fuse` makes it FCN-32s (nothing), FCN-16s (pool4) or FCN-8s (pool4, pool3). Layers have the same names in all
    of them, so that each can start from the weights of the one before. An image of any size is padded to what the
    strides need, or with `pad` by zeros as the authors did, whose pools round up; the logits are cut back.

    Source: Long, Shelhamer and Darrell, CVPR 2015, arXiv 1411.4038.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        fuse: Mapping[str, float],
        pad: int = 1,
        upsampling: How = "learned",
        width: float = 1.0,
        dropout: float = 0.5,
        norm: str = "none",
        groups: int = 8,
        act: str = "relu",
        slope: float = 0.01,
        weights: str | None = None,
        zero_scores: bool = True,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2.
            in_channels: channels of the image.
            heads: name -> channels of its logits; all heads share the score layers.
            fuse: pools whose scores are added -> factor before their score layer: 1, or 0.01 (pool4) and 0.0001
                (pool3) where all is trained at once.
            pad: zeros around the image at the first convolution: 100 as in the paper, where fc6 is not
                padded; 1, and fc6 is padded by 3 so that small images have something to see.
            upsampling: "learned", "frozen" or "interpolate": see `Enlarge`.
            width: times the channels of VGG16.
            dropout: rate of drop-out behind fc6 and fc7.
            norm: of the stages, a key of `blocks.NORMS`; VGG16 has none.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            weights: "imagenet" for trained weights of VGG16, fc6 and fc7 included; None draws them.
            zero_scores: whether score layers start at zero, as in the paper, or are drawn too.
            init: a key of `blocks.INITIALISATIONS`, for what has no trained weights.

        Raises:
            UserError: where the data is 3D, a value is unknown, or the weights cannot be had or do not fit.
        """
        super().__init__()
        _check(spatial_dims, fuse, pad)
        channels, (fc,) = scaled(CHANNELS, width), scaled([FC], width)
        settings: dict[str, Any] = {"act": act, "slope": slope, "groups": groups}
        self.pad = pad
        self.stages = stages(2, in_channels, channels, CONVS, norm=norm, **settings)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        around = 3 if pad == 1 else 0
        self.fc6 = Unit(2, channels[-1], fc, kernel=7, padding=around, norm="none", **settings)
        self.fc7 = Unit(2, fc, fc, kernel=1, norm="none", **settings)
        self.dropout = nn.Dropout(dropout)

        self.heads = dict(heads)
        self.fuse = dict(fuse)
        classes = sum(heads.values())
        steps = _steps(list(fuse), pad, around)
        inputs = {"fc7": fc} | {name: channels[_level(name) - 1] for name in fuse}
        self.scores = nn.ModuleDict({name: nn.Conv2d(inputs[name], classes, kernel_size=1) for name in steps})
        self.enlarge = nn.ModuleDict({name: Enlarge(classes, step.factor, upsampling) for name, step in steps.items()})
        self.starts = [step.start for step in steps.values()]

        initialise(self, init)
        if zero_scores:
            for parameter in self.scores.parameters():
                nn.init.zeros_(parameter)
        if weights is not None:
            trunk, connected = pretrained(weights, norm, in_channels)
            transplant(trunk, self.stages)
            transplant(connected, nn.Sequential(self.fc6, self.fc7))

    def forward(self, image: Tensor) -> Outputs:
        """Logits (B, K, H, W) of every head, for `image` (B, C, H, W) of any size."""
        if self.pad == 1:
            x = match_size(image, padded_size(image.shape[2:], 32), "pad")
        else:
            x = F.pad(image, [self.pad - 1] * 4)  # the first convolution adds the last pixel of it
        pools: list[Tensor] = []
        for stage in self.stages:
            x = self.pool(stage(x))
            pools.append(x)
        x = self.dropout(self.fc7(self.dropout(self.fc6(x))))
        x = self.enlarge["fc7"](self.scores["fc7"](x))
        for start, (name, scale) in zip(self.starts, self.fuse.items(), strict=False):
            finer = self.scores[name](scale * pools[_level(name) - 1])
            # Whichever map begins later: the other one loses what is before.
            x, finer = _from(x, start), _from(finer, -start)
            height, width = (min(pair) for pair in zip(x.shape[2:], finer.shape[2:], strict=True))
            x = self.enlarge[name](x[..., :height, :width] + finer[..., :height, :width])
        height, width = image.shape[2:]
        return {**split_heads(_from(x, self.starts[-1])[..., :height, :width], self.heads)}


class Step(NamedTuple):
    """An enlargement of the scores: by `factor`; what it is added to begins at its pixel `start`."""

    factor: int
    start: int


def _steps(fused: list[str], pad: int, around: int) -> dict[str, Step]:
    """The enlargement of fc7's scores and of every fused pool's, by their place in the image.

    Position of a layer's first pixel, in pixels of the image from the centre of its first one, and its stride: each
    pool moves it by half the stride before; a convolution of kernel k and padding p by (k - 1) / 2 - p strides;
    `Enlarge` by 1/2 - factor new strides.

    Args:
        fused: pools, coarsest first.
        pad: of the first convolution.
        around: padding of fc6.
    """
    goals = [(2 ** _level(name), 1 - pad + (2 ** _level(name) - 1) / 2) for name in fused] + [(1, 0.0)]
    stride, first = 32, 1 - pad + 31 / 2 + 32 * (3 - around)
    steps = {}
    for name, (finer, goal) in zip(["fc7", *fused], goals, strict=True):
        factor = stride // finer
        first += finer * (0.5 - factor)
        steps[name] = Step(factor, round((goal - first) / finer))
        stride, first = finer, max(first, goal)
    return steps


def _level(name: str) -> int:
    """The number of a pool."""
    return int(name.removeprefix("pool"))


def _from(x: Tensor, start: int) -> Tensor:
    """Cut the first `start` pixels off each axis of `x` (B, K, H, W); none where it is negative."""
    start = max(start, 0)
    return x[..., start:, start:]


def _check(spatial_dims: int, fuse: Mapping[str, float], pad: int) -> None:
    if spatial_dims != 2:
        raise UserError(
            f"FCN is 2D only, but the data has {spatial_dims} spatial dimensions; model=unet or model=segnet take both"
        )
    if tuple(fuse) != POOLS[: len(fuse)]:
        raise UserError(
            f"model.fuse names {', '.join(fuse)}: must be none, or the first of {', '.join(POOLS)} in this order"
        )
    if pad != 1 and pad < 97:
        raise UserError(f"model.pad={pad} must be 100 as in the paper (97 at least: fc6 needs 7 pixels), or 1")
