"""The parts that networks are built of, by name, for two and three spatial dimensions."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import UserError

T = TypeVar("T")

CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONV: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
DOWN: dict[str, dict[int, Callable[[int], nn.Module]] | None] = {
    "max_pool": {2: nn.MaxPool2d, 3: nn.MaxPool3d},
    "avg_pool": {2: nn.AvgPool2d, 3: nn.AvgPool3d},
    "strided_conv": None,
}
"""The layer that halves the size in front of a stage; None where the stage's first convolution does."""

AVG_POOL: dict[int, type[nn.AvgPool2d] | type[nn.AvgPool3d]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}

LINEAR = {2: "bilinear", 3: "trilinear"}
INTERPOLATIONS: dict[str, dict[int, str]] = {"nearest": {2: "nearest", 3: "nearest"}, "linear": LINEAR}
"""Name -> torch's word for it."""

BATCH_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {
    2: nn.InstanceNorm2d,
    3: nn.InstanceNorm3d,
}

NORMS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "batch": lambda dims, channels, groups: BATCH_NORM[dims](channels),
    "instance": lambda dims, channels, groups: INSTANCE_NORM[dims](channels, eps=1e-5, affine=True),
    "group": lambda dims, channels, groups: nn.GroupNorm(math.gcd(groups, channels), channels),
    "layer": lambda dims, channels, groups: nn.GroupNorm(1, channels),
    "none": lambda dims, channels, groups: nn.Identity(),
}
"""Norm name -> (spatial dims, channels, groups) -> layer. "layer" is over channels and space."""


class Maxout(nn.Module):
    """The largest of k pieces (Goodfellow et al. 2013): (B, k * C, *P) -> (B, C, *P)."""

    def __init__(self, pieces: int = 2) -> None:
        """Args: pieces: k, how many linear pieces each output channel chooses from."""
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """Channel c of the output is the maximum over the channels c, C + c, 2 * C + c, ..."""
        return torch.unflatten(x, 1, (self.pieces, -1)).amax(dim=1)


class Activation(NamedTuple):
    """The builder of an activation, and the number of channels it needs for each channel it returns."""

    build: Callable[[int, float], nn.Module]
    pieces: int = 1


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(lambda channels, slope: nn.ReLU(inplace=True)),
    "leaky_relu": Activation(lambda channels, slope: nn.LeakyReLU(slope, inplace=True)),
    "elu": Activation(lambda channels, slope: nn.ELU(inplace=True)),
    "prelu": Activation(lambda channels, slope: nn.PReLU(channels)),
    "tanh": Activation(lambda channels, slope: nn.Tanh()),
    "sigmoid": Activation(lambda channels, slope: nn.Sigmoid()),
    "maxout": Activation(lambda channels, slope: Maxout(2), pieces=2),
}
"""Activation name -> how it is built from (channels, slope); PReLU learns one slope per channel."""

PLAIN_ACTIVATIONS = {name: one for name, one in ACTIVATIONS.items() if one.pieces == 1}
"""Activations that keep the channels, as where their input is added to something else."""

Convolution = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d


def _he_normal(conv: Convolution) -> None:
    """Deviation sqrt(2 / N), where N inputs meet in one output.

    In a transposed convolution those are the inputs whose kernels overlap there; torch would count its outputs instead.
    """
    inputs: float = conv.in_channels // conv.groups * math.prod(conv.kernel_size)
    if conv.transposed:
        inputs /= math.prod(conv.stride)
    nn.init.normal_(conv.weight, 0.0, math.sqrt(2 / inputs))


def _xavier(conv: Convolution) -> None:
    nn.init.xavier_uniform_(conv.weight)


INITIALISATIONS: dict[str, Callable[[Convolution], None] | None] = {
    "he_normal": _he_normal,
    "xavier": _xavier,
    "pytorch": None,
}
"""Name -> how a convolution's weight is drawn: He et al. 2015 eq. 10, Glorot and Bengio 2010 eq. 16,
or as torch does."""


def choose(table: Mapping[str, T], name: str, key: str) -> T:
    """The entry `name` of `table`.

    Args:
        table: what can be chosen.
        name: what the user asked for.
        key: the configuration key that `name` comes from, for the error.

    Raises:
        UserError: where the table has no such entry.
    """
    if name not in table:
        nearest = difflib.get_close_matches(str(name), table, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise UserError(f"{key}={name} is not one of {', '.join(table)}{hint}")
    return table[name]


class ConvBlock(nn.Sequential):
    """Convolution, norm, activation: (B, in_channels, *P) -> (B, out_channels, *P / stride)."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        norm: str = "batch",
        act: str = "relu",
        slope: float = 0.01,
        groups: int = 8,
        stride: int = 1,
        padding: int = 1,
        bias: bool | None = None,
    ) -> None:
        """Build the three layers.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the input.
            out_channels: channels of the output.
            norm: a key of `NORMS`.
            act: a key of `ACTIVATIONS`.
            slope: of a leaky ReLU below zero.
            groups: of a group norm; where they do not divide the channels, their greatest common divisor.
            stride: of the 3x3(x3) convolution.
            padding: pixels of zeros around its input; 0 for a valid convolution, whose output is two
                pixels smaller.
            bias: whether the convolution has one; None: where no norm follows, which has its own shift.

        Raises:
            UserError: where `norm` or `act` is unknown.
        """
        activation = choose(ACTIVATIONS, act, "model.act")
        normalisation = choose(NORMS, norm, "model.norm")
        width = out_channels * activation.pieces
        bias = norm == "none" if bias is None else bias
        super().__init__(
            CONV[spatial_dims](in_channels, width, kernel_size=3, stride=stride, padding=padding, bias=bias),
            normalisation(spatial_dims, width, groups),
            activation.build(out_channels, slope),
        )


class PixelShuffle(nn.Module):
    """Channels to pixels (Shi et al. 2016, equation 4), in 2D and 3D: (B, C * 2^D, *P) -> (B, C, *2P).

    Channel c * 2^D + k goes to the place k of each block of 2^D pixels in channel c, as in torch's 2D layer.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Double the size of `x`."""
        dims = x.ndim - 2
        blocks = torch.unflatten(x, 1, (-1, *(2,) * dims))  # (B, C, 2, .., 2, *P)
        woven = [axis for pair in zip(range(2 + dims, 2 + 2 * dims), range(2, 2 + dims), strict=True) for axis in pair]
        return blocks.permute(0, 1, *woven).reshape(len(x), -1, *(2 * n for n in x.shape[2:]))


def _transposed(kernel: int, dims: int, first: int, last: int, padding: int) -> nn.Module:
    around = (kernel - 1) // 2
    return TRANSPOSED_CONV[dims](first, last, kernel, stride=2, padding=around, output_padding=2 * around + 2 - kernel)


def _interpolated(name: str, dims: int, first: int, last: int, padding: int) -> nn.Module:
    upsample = nn.Upsample(scale_factor=2, mode=INTERPOLATIONS[name][dims])
    return nn.Sequential(upsample, CONV[dims](first, last, kernel_size=3, padding=padding))


def _shuffled(dims: int, first: int, last: int, padding: int) -> nn.Module:
    return nn.Sequential(CONV[dims](first, last * 2**dims, kernel_size=3, padding=padding), PixelShuffle())


UP: dict[str, Callable[[int, int, int, int], nn.Module]] = {
    "transposed": partial(_transposed, 2),
    "transposed_3": partial(_transposed, 3),
    "nearest": partial(_interpolated, "nearest"),
    "linear": partial(_interpolated, "linear"),
    "pixel_shuffle": _shuffled,
}
"""Layers that double the size: name -> (spatial dims, channels in, channels out, padding of its convolution) -> it."""


def upsampling(name: str, spatial_dims: int, in_channels: int, out_channels: int | None, padding: int = 1) -> nn.Module:
    """A layer that doubles the size: (B, in_channels, *P) -> (B, out_channels, *2P).

    Args:
        name: "transposed" for a 2x2(x2) transposed convolution of stride 2; "transposed_3" for a 3x3(x3)
            one, whose kernels overlap unevenly since 3 is no multiple of the stride (Odena et al. 2016:
            checkerboard); "nearest" or "linear" for an interpolation and a 3x3(x3) convolution; and
            "pixel_shuffle" for a 3x3(x3) convolution whose channels become pixels (Shi et al. 2016).
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output; None interpolates without a convolution and keeps them.
        padding: pixels of zeros around the input of a 3x3(x3) convolution; with 0 the output is smaller,
            by two pixels after an interpolation and by four after a pixel shuffle.

    Raises:
        UserError: where `name` is unknown, or is no interpolation and no convolution is asked for.
    """
    build = choose(UP, name, "model.up")
    if out_channels is not None:
        return build(spatial_dims, in_channels, out_channels, padding)
    if name not in INTERPOLATIONS:
        raise UserError("model.up_conv=false needs an interpolation: model.up=nearest or model.up=linear")
    return nn.Upsample(scale_factor=2, mode=INTERPOLATIONS[name][spatial_dims])


def initialise(net: nn.Module, how: str) -> None:
    """Draw the weights of every convolution of `net` anew and set their biases to zero.

    Args:
        net: whose weights are drawn, in place.
        how: a key of `INITIALISATIONS`; "pytorch" leaves all as it is.

    Raises:
        UserError: where `how` is unknown.
    """
    draw = choose(INITIALISATIONS, how, "model.init")
    if draw is None:
        return
    for module in net.modules():
        if isinstance(module, Convolution):
            draw(module)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def padded_size(size: Sequence[int], stride: int | Sequence[int]) -> tuple[int, ...]:
    """The smallest size that a network of total stride `stride` takes and that covers `size`.

    Every axis is a multiple of the stride, or of its own one. At the coarsest resolution at least two pixels are left,
    because batch and instance norm have no variance to divide by where a channel is a single value.
    """
    strides = [stride] * len(size) if isinstance(stride, int) else list(stride)
    padded = [math.ceil(n / step) * step for n, step in zip(size, strides, strict=True)]
    if padded == strides:
        padded[-1] *= 2
    return tuple(padded)


def match_size(x: Tensor, size: Sequence[int], mode: Literal["crop", "centre", "pad", "interpolate"]) -> Tensor:
    """Give `x` (B, C, *P) the spatial size `size`; `x` itself where it has that size already.

    Args:
        x: what is resized.
        size: the spatial size wanted, for example that of a skip connection.
        mode: "crop" cuts pixels off at the end of each axis, "pad" repeats the last one, so that the
            pixel (0, 0) stays where it is and the strides of a network stay aligned with it;
            "centre" cuts off as much at the start as at the end; "interpolate" scales linearly. Unlike
            mirroring, repeating works from one pixel on.
    """
    if x.shape[2:] == torch.Size(size):
        return x
    if mode == "crop":
        return x[(slice(None), slice(None), *(slice(n) for n in size))]
    if mode == "centre":
        starts = [(n - wanted) // 2 for wanted, n in zip(size, x.shape[2:], strict=True)]
        box = [slice(start, start + wanted) for start, wanted in zip(starts, size, strict=True)]
        return x[(slice(None), slice(None), *box)]
    if mode == "pad":
        missing = [wanted - n for wanted, n in zip(size, x.shape[2:], strict=True)]
        # F.pad counts axes from the last one: (before, after) for each.
        return F.pad(x, [n for after in reversed(missing) for n in (0, after)], mode="replicate")
    return F.interpolate(x, tuple(size), mode=LINEAR[x.ndim - 2], align_corners=False)
