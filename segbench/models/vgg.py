"""VGG16's convolutional stages (Simonyan and Zisserman 2015, arXiv 1409.1556), and pooling that can be undone.

The trunk of FCN, DeconvNet and SegNet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.models.blocks import ACTIVATIONS, CONV, NORMS, TRANSPOSED_CONV, choose

CHANNELS = (64, 128, 256, 512, 512)
"""Channels of VGG16's five stages."""
CONVS = (2, 2, 3, 3, 3)
"""Convolutions in each of them."""
FC = 4096
"""Channels of its fully connected layers fc6 and fc7."""

SOURCES = {"none": "vgg16", "batch": "vgg16_bn"}
"""Norm of a network -> timm's network whose weights it can take over."""

Trained = tuple[nn.Conv2d | nn.BatchNorm2d, ...]


class Unit(nn.Sequential):
    """Convolution, norm, activation: (B, in_channels, *P) -> (B, out_channels, *Q); Q = P where it is padded."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        *,
        norm: str,
        groups: int,
        act: str | None,
        slope: float,
        kernel: int = 3,
        padding: int | None = None,
        bias: bool = True,
        transposed: bool = False,
    ) -> None:
        """Build the three layers.

        Args:
            spatial_dims: 2 or 3.
            in_channels: channels of the input.
            out_channels: channels of the output.
            norm: a key of `blocks.NORMS`.
            groups: of a group norm.
            act: a key of `blocks.ACTIVATIONS`; None for no activation.
            slope: of a leaky ReLU below zero.
            kernel: size of the convolution.
            padding: pixels of zeros around the input (of a transposed convolution: taken off its output);
                None keeps the size.
            bias: whether the convolution has one; these networks have it in front of a batch norm too.
            transposed: whether the convolution is a transposed one.

        Raises:
            UserError: where `norm` or `act` is unknown.
        """
        activation = None if act is None else choose(ACTIVATIONS, act, "model.act")
        normalisation = choose(NORMS, norm, "model.norm")
        width = out_channels * (activation.pieces if activation else 1)
        conv = (TRANSPOSED_CONV if transposed else CONV)[spatial_dims]
        padding = kernel // 2 if padding is None else padding
        super().__init__(
            conv(in_channels, width, kernel_size=kernel, padding=padding, bias=bias),
            normalisation(spatial_dims, width, groups),
            activation.build(out_channels, slope) if activation else nn.Identity(),
        )


def stages(
    spatial_dims: int, in_channels: int, channels: Sequence[int], convs: Sequence[int], **settings: Any
) -> nn.ModuleList:
    """The convolutions of each stage; a pooling belongs between two.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        channels: of each stage.
        convs: convolutions in each stage.
        settings: of every `Unit`.
    """
    built = nn.ModuleList()
    for (before, width), depth in zip(pairwise((in_channels, *channels)), convs, strict=True):
        inputs = (before, *[width] * (depth - 1))
        built.append(nn.Sequential(*(Unit(spatial_dims, first, width, **settings) for first in inputs)))
    return built


def scaled(channels: Iterable[int], width: float) -> list[int]:
    """The channels times `width`, at least one each.

    Raises:
        UserError: where `width` is not above zero.
    """
    if width <= 0:
        raise UserError(f"model.width={width} must be above 0; 1 is the network of the paper")
    return [max(1, round(width * number)) for number in channels]


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Halve the size by the maximum of every 2x2(x2) window.

    Returns:
        The maxima of `x` (B, C, *2P), and their switches, both (B, C, *P): where in its channel, counted
        along the rows, each maximum was (Zeiler and Fergus 2014).
    """
    pooling = F.max_pool2d if x.ndim == 4 else F.max_pool3d
    maxima, switches = pooling(x, 2, return_indices=True)
    return maxima, switches


def unpool(x: Tensor, switches: Tensor) -> Tensor:
    """Double the size: each value goes to the recorded place, all others are zero.

    It is `torch.nn.MaxUnpool2d` (and 3d), which refuses to work under `trainer.deterministic` although
    windows that do not overlap leave nothing to chance.

    Args:
        x: (B, C, *P).
        switches: what `pool` returned, (B, C, *P).

    Returns:
        (B, C, *2P).
    """
    size = [2 * n for n in x.shape[2:]]
    doubled = x.new_zeros(*x.shape[:2], x.shape[2:].numel() * 2 ** len(size))
    return doubled.scatter(2, switches.flatten(2), x.flatten(2)).view(*x.shape[:2], *size)


def pretrained(weights: str, norm: str, in_channels: int) -> tuple[Trained, Trained]:
    """VGG16 as it was trained on ImageNet, from timm; a first layer for other than three channels is adapted there.

    Args:
        weights: "imagenet".
        norm: of the network that takes them over: a key of `SOURCES`.
        in_channels: channels of the image.

    Returns:
        The layers of the stages, and fc6 (4096, 512, 7, 7) and fc7 (4096, 4096, 1, 1) as convolutions.

    Raises:
        UserError: where there are no such weights, or they cannot be downloaded.
    """
    choose({"imagenet": None}, weights, "model.weights")
    if norm not in SOURCES:
        raise UserError(f"model.weights={weights}: VGG16 was trained with model.norm=none and model.norm=batch only")
    import timm

    try:
        net = timm.create_model(SOURCES[norm], pretrained=True, in_chans=in_channels)
    except OSError as error:
        raise UserError(
            f"model.weights={weights}: the weights of {SOURCES[norm]} could not be downloaded; run once with a "
            "connection, so that they are kept, or set model.weights=null"
        ) from error
    trunk, connected = _trained(net.get_submodule("features")), _trained(net.get_submodule("pre_logits"))
    return trunk, connected


def transplant(source: Trained, targets: nn.Module) -> None:
    """Copy the weights of convolutions and batch norms, in their order.

    Args:
        source: the layers of a trained network.
        targets: whose layers get them, as many as there are sources.

    Raises:
        UserError: where a layer has another shape.
    """
    layers = _trained(targets)
    for layer, trained in zip(layers, source, strict=True):
        if layer.weight.shape != trained.weight.shape:
            raise UserError(
                f"model.weights: the trained weights {tuple(trained.weight.shape)} do not fit a layer with "
                f"{tuple(layer.weight.shape)}; they need VGG16's channels: model.width=1 and an act other than maxout"
            )
        layer.load_state_dict(trained.state_dict())


def _trained(net: nn.Module) -> Trained:
    return tuple(module for module in net.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d))
