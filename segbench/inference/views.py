"""One pass of a network, or the mean of several over mirrored and turned versions of the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from segbench.errors import UserError

Outputs = Mapping[str, Tensor | list[Tensor]]
Network = Callable[[Tensor], Outputs]
View = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
"""A way to look at an image (B, C, *S), and the way back for logits."""

Mirror = bool | Sequence[bool]
"""The mirrored axes: all or none, or one value for each axis."""


class Inference(Protocol):
    """A way to predict a whole image."""

    def __call__(self, network: nn.Module, image: Tensor) -> dict[str, Tensor]:
        """Return logits (B, K, *S) of every head for image (B, C, *S)."""


def predict_views(network: Network, image: Tensor, mirror: Mirror = False, rotate: bool = False) -> dict[str, Tensor]:
    """The finest logits of every head in float32; if asked, their mean over versions of the image.

    Args:
        network: image -> outputs.
        image: (B, C, *S).
        mirror: over all 2^D mirrored versions, as in nnU-Net (Isensee et al. 2021), or of some axes.
        rotate: over the four quarter turns in the plane of the last two axes; with `mirror` over what both
            can do together, in 2D the eight symmetries of the square. (The U-Net paper averages seven
            rotations of the image, whose angles it does not print.)

    Raises:
        UserError: see `mirrored_axes`.
    """
    return _mean(network, image, _views(mirrored_axes(mirror, image.ndim - 2), rotate))


def mirrored_axes(mirror: Mirror, dims: int) -> list[bool]:
    """Return for each of the `dims` axes whether it is mirrored.

    Raises:
        UserError: where `mirror` is no such value, or has values for another number of axes.
    """
    axes = list(mirror) if isinstance(mirror, Sequence) else [mirror] * dims
    if len(axes) != dims or not set(axes) <= {False, True}:
        raise UserError(f"inference.mirror={mirror}: must be true, false, or one of them for each of the {dims} axes")
    return axes


def _views(mirror: Sequence[bool], rotate: bool) -> list[View]:
    """Each doubles the number of versions, of which no two are the same."""
    views = [_flip(2 + axis) for axis, mirrored in enumerate(mirror) if mirrored]
    if rotate and not all(mirror[-2:]):  # else two mirrors make the half turn
        views.append(_flip(-2, -1))
    if rotate:
        views.append((partial(torch.rot90, k=1, dims=(-2, -1)), partial(torch.rot90, k=-1, dims=(-2, -1))))
    return views


def _flip(*axes: int) -> View:
    there = partial(torch.flip, dims=axes)
    return there, there


def _mean(network: Network, image: Tensor, views: Sequence[View]) -> dict[str, Tensor]:
    """Mean logits over all subsets of the views, each turned back first."""
    if not views:
        return _finest(network(image))
    (there, back), *others = views
    plain = _mean(network, image, others)
    turned = _mean(network, there(image), others)
    # Means of two, so that rounding leaves equal logits as they are.
    return {head: (logits + back(turned[head])) / 2 for head, logits in plain.items()}


def _finest(outputs: Outputs) -> dict[str, Tensor]:
    return {head: (value[0] if isinstance(value, list) else value).float() for head, value in outputs.items()}
