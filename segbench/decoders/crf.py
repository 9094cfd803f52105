"""A conditional random field that makes neighbours of like intensity agree, before another decoder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from segbench.errors import UserError

if TYPE_CHECKING:
    from segbench.decoders import Decoder

Place = tuple[slice, ...]


class Crf:
    """Dense CRF of Kraehenbuehl and Koltun 2011 whose kernels end at a window (as in Teichmann and Cipolla 2018).

    The energy of a labelling x is the sum over pixels of -log p_i(x_i) plus, over all pairs of pixels with
    different classes,

        w_a exp(-|p_i - p_j|^2 / 2 theta_a^2 - |I_i - I_j|^2 / 2 theta_b^2) + w_g exp(-|p_i - p_j|^2 / 2 theta_g^2)

    (their eq. 3, Potts model), p being places in pixels and I intensities of the normalised image. Its mean
    field (their eq. 4) starts from the network's probabilities and is iterated a fixed number of times.
    """

    def __init__(
        self,
        then: Callable[..., Decoder],
        iterations: int = 5,
        window: int = 11,
        appearance: float = 4.0,
        theta_a: float = 10.0,
        theta_b: float = 0.5,
        smoothness: float = 3.0,
        theta_g: float = 3.0,
        normalize: bool = True,
        **of_data: Any,
    ) -> None:
        """Check the values.

        Args:
            then: makes the decoder that gets the refined log-probabilities in place of the logits.
            iterations: of the mean field.
            window: pixels along each side of the kernels, an odd number. The memory grows with its power
                of the dimensions: 4 bytes x half the window's pixels x the image's.
            appearance: w_a.
            theta_a: in pixels. Typical for windows of any size are 30 to 80; beyond the window it makes no difference.
            theta_b: in intensities of the normalised image; typical values are printed for 0..255.
            smoothness: w_g.
            theta_g: in pixels.
            normalize: whether each kernel k is divided by sqrt(n_i n_j), n_i the sum of k over all j, as the
                authors' program does by default (not verified against it); without, as the paper prints
                it, the weights count as often as a pixel has neighbours.
            **of_data: for `then`: what it must know of the classes.

        Raises:
            UserError: where a value is out of its range.
        """
        if window < 1 or window % 2 == 0:
            raise UserError(f"decoder.window={window}: must be an odd number")
        if iterations < 0:
            raise UserError(f"decoder.iterations={iterations}: must be at least 0")
        for key, value in {"theta_a": theta_a, "theta_b": theta_b, "theta_g": theta_g}.items():
            if value <= 0:
                raise UserError(f"decoder.{key}={value}: must be above 0")
        for key, value in {"appearance": appearance, "smoothness": smoothness}.items():
            if value < 0:
                raise UserError(f"decoder.{key}={value}: must be at least 0")
        self.then = then(**of_data)
        self.iterations = iterations
        self.window = window
        self.appearance = appearance
        self.theta_a = theta_a
        self.theta_b = theta_b
        self.smoothness = smoothness
        self.theta_g = theta_g
        self.normalize = normalize

    def label(self, outputs: Mapping[str, Tensor], image: Tensor) -> np.ndarray:
        """The class map (*S) uint8 of one case, from logits (K, *S) and its image (C, *S)."""
        return self.then.label({**outputs, "mask": self.refine(outputs["mask"].float(), image)}, image)

    def regions(self, outputs: Mapping[str, Tensor]) -> np.ndarray | None:
        """The masks of regions, as the decoder after this one finds them."""
        return self.then.regions(outputs)

    def instances(self, outputs: Mapping[str, Tensor], label: np.ndarray) -> np.ndarray:
        """The objects (*S) int32 of one case, as the decoder after this one finds them."""
        return self.then.instances(outputs, label)

    @torch.inference_mode()
    def refine(self, logits: Tensor, image: Tensor) -> Tensor:
        """Log-probabilities (K, *S) float32 of the mean field."""
        unary = logits.log_softmax(dim=0)
        pairs = self._pairs(image.to(logits.device, torch.float32))
        refined = unary
        for _ in range(self.iterations if pairs else 0):
            belief = refined.exp()
            # With Potts, what speaks for a class is what its neighbours believe of it: the sum over the
            # other classes differs from that by the same number for all classes.
            message = torch.zeros_like(unary)
            for here, there, kernel in pairs:
                message[:, *here].addcmul_(belief[:, *there], kernel)
                message[:, *there].addcmul_(belief[:, *here], kernel)
            refined = (unary + message).log_softmax(dim=0)
        return refined

    def _pairs(self, image: Tensor) -> list[tuple[Place, Place, Tensor]]:
        """Each pair of pixels in a common window once: the places of both, and their kernel."""
        offsets = [(offset, *_overlap(offset, image.shape[1:])) for offset in _half_window(self.window, image.ndim - 1)]
        offsets = [pair for pair in offsets if all(part.stop > part.start for part in pair[1])]
        weighted: list[Tensor] = [torch.zeros(())] * len(offsets)
        for weight, kernel in ((self.appearance, self._appearance), (self.smoothness, self._smoothness)):
            if not weight:
                continue
            values = [kernel(image, *pair) for pair in offsets]
            scale = self._scale(image, offsets, values)
            for number, (_, here, there) in enumerate(offsets):
                weighted[number] = (
                    weighted[number].to(image.device) + weight * values[number] * scale[here] * scale[there]
                )
        return [
            (here, there, kernel) for (_, here, there), kernel in zip(offsets, weighted, strict=True) if kernel.ndim
        ]

    def _appearance(self, image: Tensor, offset: Sequence[int], here: Place, there: Place) -> Tensor:
        contrast = (image[:, *here] - image[:, *there]).square_().sum(dim=0)
        return contrast.mul_(-0.5 / self.theta_b**2).sub_(_squares(offset) / (2 * self.theta_a**2)).exp_()

    def _smoothness(self, image: Tensor, offset: Sequence[int], here: Place, there: Place) -> Tensor:
        return torch.full(
            image[0][here].shape, math.exp(-_squares(offset) / (2 * self.theta_g**2)), device=image.device
        )

    def _scale(self, image: Tensor, offsets: Sequence[tuple[Any, Place, Place]], values: Sequence[Tensor]) -> Tensor:
        """1 / sqrt(n_i) of each pixel (*S), or 1 without normalisation."""
        if not self.normalize:
            return torch.ones_like(image[0])
        total = torch.zeros_like(image[0])
        for (_, here, there), kernel in zip(offsets, values, strict=True):
            total[here] += kernel
            total[there] += kernel
        return total.clamp_min_(1e-20).rsqrt_()


def _half_window(window: int, dims: int) -> Iterator[tuple[int, ...]]:
    """The offsets of half a window: one of each pair of opposite offsets."""
    reach = range(-(window // 2), window // 2 + 1)
    return (offset for offset in itertools.product(reach, repeat=dims) if offset > (0,) * dims)


def _overlap(offset: Sequence[int], size: Sequence[int]) -> tuple[Place, Place]:
    """The pixels for which the pixel at an offset is in the image too, and the pixels at that offset."""
    here = tuple(slice(max(0, -step), max(0, length - max(0, step))) for step, length in zip(offset, size, strict=True))
    there = tuple(slice(part.start + step, part.stop + step) for part, step in zip(here, offset, strict=True))
    return here, there


def _squares(offset: Sequence[int]) -> int:
    return sum(step * step for step in offset)
