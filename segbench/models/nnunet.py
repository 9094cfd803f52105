"""The U-Net of nnU-Net (Isensee et al., Nature Methods 2021): strides and kernels of each stage and axis by a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import (
    ACTIVATIONS,
    AVG_POOL,
    CONV,
    NORMS,
    PLAIN_ACTIVATIONS,
    TRANSPOSED_CONV,
    choose,
    initialise,
    match_size,
    padded_size,
)
from segbench.models.heads import Heads, Outputs

Axes = Sequence[int]
"""A number for each axis."""


class NnUNet(nn.Module):
    """An encoder of plain convolutions or of residual blocks, and a decoder of plain ones.

    Strided convolutions halve the axes that a plan halves; transposed convolutions of the same strides double them.
    An image of any size is padded to what the strides need, and the logits cut back.

    Source: Isensee et al., Nature Methods 2021, arXiv 1904.08128; residual encoder: arXiv 2404.09556.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        heads: Mapping[str, int],
        *,
        channels: Sequence[int],
        strides: Sequence[Axes],
        kernels: Sequence[Axes],
        convs: int | Sequence[int] = 2,
        decoder_convs: int | Sequence[int] = 2,
        encoder: Literal["plain", "residual"] = "plain",
        norm: str = "instance",
        groups: int = 8,
        act: str = "leaky_relu",
        slope: float = 0.01,
        bias: bool = True,
        up_bias: bool = True,
        deep_supervision: bool = True,
        init: str = "he_normal",
    ) -> None:
        """Build the network.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the image.
            heads: name -> channels of its logits.
            channels: of each stage, from the highest resolution to the lowest; fewer than `strides` leave out the
                lowest stages.
            strides: of each stage along each axis, 1 or 2; those of the first are 1.
            kernels: size of the convolutions of each stage along each axis, odd.
            convs: convolutions of each stage of the encoder (residual: blocks of two), for all or one number each.
            decoder_convs: likewise of the decoder, the highest resolution first.
            encoder: "plain", or "residual": a stem, and blocks as in ResNet-D.
            norm: a key of `blocks.NORMS`.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            bias: whether convolutions in front of a norm have one.
            up_bias: whether transposed convolutions have one.
            deep_supervision: whether every resolution of the decoder has its own heads.
            init: a key of `blocks.INITIALISATIONS`.

        Raises:
            UserError: where the numbers of stages or axes do not agree.
        """
        super().__init__()
        stages = len(channels)
        steps = _of_axes(strides, "strides", stages, spatial_dims)
        sizes = _of_axes(kernels, "kernels", stages, spatial_dims)
        depths = _numbers(convs, stages, "convs")
        unit = partial(_unit, spatial_dims, norm=norm, groups=groups, act=act, slope=slope, bias=bias)
        block = partial(ResidualBlock, spatial_dims, norm=norm, groups=groups, act=act, slope=slope, bias=bias)
        residual = encoder == "residual"
        part = block if residual else unit
        inputs = [channels[0] if residual else in_channels, *channels]
        self.stem = unit(in_channels, channels[0], sizes[0]) if residual else nn.Identity()
        self.encoder = nn.ModuleList(
            nn.Sequential(part(first, width, size, step), *(part(width, width, size) for _ in range(depth - 1)))
            for first, width, size, step, depth in zip(inputs, channels, sizes, steps, depths, strict=False)
        )
        self.ups, self.decoder = nn.ModuleList(), nn.ModuleList()
        levels = list(zip(pairwise(channels), steps[1:], sizes, strict=False))
        for ((width, below), step, size), depth in zip(
            reversed(levels), reversed(_numbers(decoder_convs, stages - 1, "decoder_convs")), strict=True
        ):
            doubling = TRANSPOSED_CONV[spatial_dims](below, width, step, stride=step, bias=up_bias)  # type: ignore[arg-type]
            self.ups.append(doubling)
            joined = [unit(2 * width, width, size), *(unit(width, width, size) for _ in range(depth - 1))]
            self.decoder.append(nn.Sequential(*joined))
        scales = [tuple(math.prod(axis) for axis in zip(*steps[: level + 1], strict=True)) for level in range(stages)]
        self.divisor = scales[-1]
        self.heads = Heads(spatial_dims, channels[:-1], heads, deep_supervision, scales)
        initialise(self, init)

    def forward(self, image: Tensor) -> Outputs:
        """Logits of every head, for `image` (B, C, *P), any P.

        Returns:
            Head name -> logits (B, K, *P); with deep supervision a list of them, finest first.
        """
        size = image.shape[2:]
        x = self.stem(match_size(image, padded_size(size, self.divisor), "pad"))
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        features: list[Tensor] = []
        for up, stage in zip(self.ups, self.decoder, strict=True):
            x = stage(torch.cat([skips.pop(), up(x)], dim=1))
            features = [x, *features][: self.heads.resolutions]
        outputs: Outputs = self.heads(features, size)
        return outputs


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which averages where they stride (He et al. 2019, ResNet-D)."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel: Axes,
        stride: Axes | int = 1,
        *,
        norm: str,
        groups: int,
        act: str,
        slope: float,
        bias: bool,
    ) -> None:
        """Args: as those of `NnUNet`; kernel, stride: of the first convolution along each axis."""
        super().__init__()
        unit = partial(_unit, spatial_dims, norm=norm, groups=groups, slope=slope)
        self.convs = nn.Sequential(
            unit(in_channels, out_channels, kernel, stride, act=act, bias=bias),
            unit(out_channels, out_channels, kernel, act=None, bias=bias),
        )
        step = (stride,) * spatial_dims if isinstance(stride, int) else tuple(stride)
        shortcut: list[nn.Module] = []
        if max(step) > 1:
            shortcut.append(AVG_POOL[spatial_dims](step, step))  # type: ignore[arg-type]
        if in_channels != out_channels:
            point = (1,) * spatial_dims
            shortcut.append(unit(in_channels, out_channels, point, act=None, bias=False))
        self.shortcut = nn.Sequential(*shortcut)
        self.act = choose(PLAIN_ACTIVATIONS, act, "model.act").build(out_channels, slope)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, *P) -> (B, out_channels, *P / stride)."""
        return cast(Tensor, self.act(self.convs(x) + self.shortcut(x)))


def _unit(
    dims: int,
    first: int,
    last: int,
    kernel: Axes,
    stride: Axes | int = 1,
    *,
    norm: str,
    groups: int,
    act: str | None,
    slope: float,
    bias: bool,
) -> nn.Sequential:
    """Convolution, norm and, where it has one, activation."""
    padding = tuple(size // 2 for size in kernel)
    activation = None if act is None else choose(ACTIVATIONS, act, "model.act")
    width = last * (activation.pieces if activation else 1)
    step = (stride,) * dims if isinstance(stride, int) else tuple(stride)
    layers: list[nn.Module] = [
        CONV[dims](first, width, tuple(kernel), stride=step, padding=padding, bias=bias or norm == "none"),  # type: ignore[arg-type]
        choose(NORMS, norm, "model.norm")(dims, width, groups),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [activation.build(last, slope)]))


def _of_axes(values: Sequence[Axes], key: str, stages: int, dims: int) -> list[tuple[int, ...]]:
    """The values of so many stages.

    Raises:
        UserError: where there are fewer, or not one for each axis.
    """
    if not 2 <= stages <= len(values) or any(len(axes) != dims for axes in values):
        raise UserError(
            f"model.{key}={[list(axes) for axes in values]}: must have {dims} numbers for each stage of model.channels,"
            f" which has {stages}; two stages or more"
        )
    return [tuple(axes) for axes in values[:stages]]


def _numbers(value: int | Sequence[int], count: int, key: str) -> list[int]:
    """A number for each stage: a single one for all, and of a list the first."""
    numbers = [value] * count if isinstance(value, int) else list(value)[:count]
    if len(numbers) < count or min(numbers) < 1:
        raise UserError(f"model.{key}={numbers}: must have a number >= 1 for each of {count} stages")
    return numbers
