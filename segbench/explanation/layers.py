"""The layers of a network by name, and what one of them says of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NamedTuple

import torch
from torch import Tensor, nn

from segbench.errors import UserError

Score = Callable[[nn.Module, Tensor], Tensor]
"""A network and an image (1, C, *S) -> the number that is explained."""


class Response(NamedTuple):
    """A layer's answer to an image.

    Attributes:
        features: the activations (K, *Q) of its K filters.
        gradient: that of the score by each of them (K, *Q).
        score: the number that is explained.
    """

    features: Tensor
    gradient: Tensor
    score: float


def find_layer(network: nn.Module, name: str) -> nn.Module:
    """A layer of a network.

    Raises:
        UserError: where there is none of that name, with the nearest ones.
    """
    layers: dict[str, nn.Module] = dict(network.named_modules())
    layers.pop("")
    if name in layers:
        return layers[name]
    near = get_close_matches(name, layers, n=3, cutoff=0.3) or list(layers)[:5]
    raise UserError(f"layer={name}: the network has no such layer; the nearest are {', '.join(near)}")


def deepest_layer(network: nn.Module, image: Tensor) -> str:
    """The layer that is explained by default: the last of those of the coarsest resolution.

    Of a U-Net that is its bottleneck, as Seg-Grad-CAM recommends.

    Raises:
        UserError: where no layer has feature maps of the image's number of dimensions.
    """
    sizes: dict[str, int] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == image.ndim and output.shape[1] > 1:
                positions = output[0, 0].numel()
                if positions > 1:
                    sizes.pop(name, None)  # the last use counts
                    sizes[name] = positions

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    if not sizes:
        raise UserError("layer: no layer of this network has feature maps: it cannot be explained by them")
    least = min(sizes.values())
    return [name for name, size in sizes.items() if size == least][-1]


def response(network: nn.Module, layer: nn.Module, image: Tensor, score: Score) -> Response:
    """The activations of a layer for an image, and the gradient of a score by them.

    Args:
        network: in evaluation mode.
        layer: one of its modules, whose output is (1, K, *Q).
        image: (1, C, *S).
        score: what is explained.

    Raises:
        UserError: where the layer has no such output.
    """
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: object) -> object:
        if not isinstance(output, Tensor) or output.ndim != image.ndim:
            return output
        kept = output if output.requires_grad else output.detach().requires_grad_()
        seen[:] = [kept]
        return kept.clone()  # what comes behind may change its input in place

    handle = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            value = score(network, image)
            if not seen:
                raise UserError("layer: has no feature maps of this image; choose a convolution or a block of them")
            (gradient,) = torch.autograd.grad(value, seen[0], allow_unused=True)
    finally:
        handle.remove()
    features = seen[0].detach()[0]
    return Response(features, torch.zeros_like(features) if gradient is None else gradient[0], float(value.detach()))


@contextmanager
def without_filter(layer: nn.Module, index: int) -> Iterator[None]:
    """Set the activations of one filter of a layer to 0."""

    def zero(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        changed = output.clone()
        changed[:, index] = 0
        return changed

    handle = layer.register_forward_hook(zero)
    try:
        yield
    finally:
        handle.remove()
