"""The receptive field of a network whose size nobody knows yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from segbench.metrics.cost import receptive_field

LENGTHS = (64, 128, 256, 512, 1024)
"""Pixels of the images that are tried, one axis at a time."""
PIXELS = 400_000
"""Of the largest image, so that it takes seconds."""
WIDTH = 16
"""Pixels along the other axes, or the smallest size that the network takes."""
OVER_IMAGE = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)
"""Norms that see all of an image."""


@dataclass(frozen=True)
class Field:
    """The box of the image that the central pixel of the output depends on, norms over the image left aside.

    Attributes:
        pixels: along each axis.
        bounded: whether the field ends there; else it reached the border of the largest image that was tried, as where
            a network pools over the whole image.
    """

    pixels: tuple[int, ...]
    bounded: bool

    def __str__(self) -> str:
        size = " x ".join(map(str, self.pixels))
        return f"{size} pixels" if self.bounded else f"at least {size} pixels, or the whole image"


def find_field(
    module: nn.Module, channels: int, patch: Sequence[int], head: str, nearest: Callable[[int], int], whole: bool
) -> Field:
    """The receptive field, measured on longer and longer images.

    Args:
        module: the network, on the CPU or the meta device.
        channels: of the image.
        patch: pixels along each axis.
        head: the output that counts.
        nearest: gives the smallest size that the network takes and that is not below a number of pixels.
        whole: whether the network predicts one pixel of any patch, so that its field is the patch, or a part of it.
    """
    with _without_norms_over_image(module), _one_thread():
        if whole:
            return Field(receptive_field(module, (channels, *patch), head), bounded=True)
        width = nearest(WIDTH)
        lengths = sorted({nearest(length) for length in LENGTHS})
        pixels, bounded = [], True
        for axis in range(len(patch)):
            while True:
                size = [width] * len(patch)
                size[axis] = lengths[0]
                field = receptive_field(module, (channels, *size), head)[axis]
                if field < lengths[0] or len(lengths) == 1 or lengths[1] * width ** (len(patch) - 1) > PIXELS:
                    break
                del lengths[0]  # for the next axis, too, which is seldom shorter
            pixels.append(field)
            bounded = bounded and field < lengths[0]
    return Field(tuple(pixels), bounded)


@contextmanager
def _without_norms_over_image(module: nn.Module) -> Iterator[None]:
    """Let these norms pass on what they get."""

    def skip(norm: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        return inputs[0]

    hooks = [part.register_forward_hook(skip) for part in module.modules() if isinstance(part, OVER_IMAGE)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: for many small operations, others cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
