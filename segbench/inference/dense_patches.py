"""A whole image from a classifier of patches, as in Sirinukunwattana et al. 2018 (arXiv 1806.04259)."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from segbench.errors import UserError
from segbench.inference.overlap_tile import mirror_pad
from segbench.inference.views import Mirror, Network, predict_views

log = logging.getLogger(__name__)


class DensePatches:
    """A classifier of patches at a dense stride, with its logits blended.

    Each patch's logits are painted around its centre, with a weight that falls off as a squared spline; the sums are
    divided by the sums of the weights. Centres are spread evenly from the first to the last pixel of the image, and
    what a patch sees beyond the image is the mirrored image. (The authors' centres go on beyond the border.) A
    patch's centre is its pixel (P - 1) // 2, as in training; of a network that predicts more than one pixel the
    central one is taken.

    Attributes:
        window: size of a patch (W_1, .., W_D) in pixels.
        stride: pixels from one centre to the next at most; None is a twelfth of the smallest window size.
        spread: pixels across which a patch is painted, about twice as far as the width at half the weight; None
            is a quarter of the smallest window size (the central 2 x 64 of 512 pixels of the authors), 1 the centre
            alone.
        batch_size: patches in one pass.
        mirror: average the logits over all 2^D mirrored versions of each patch, or of some axes: [false, true].
        rotate: and over quarter turns in the plane of the last two axes.
    """

    def __init__(
        self,
        window: Sequence[int],
        stride: int | None = None,
        spread: int | None = None,
        batch_size: int = 64,
        mirror: Mirror = False,
        rotate: bool = False,
    ) -> None:
        self.window = tuple(window)
        self.stride = max(1, min(window) // 12) if stride is None else stride
        self.spread = max(2 * self.stride, min(window) // 4) if spread is None else spread
        if self.stride < 1 or self.stride // 2 >= self.spread / 2:
            raise UserError(
                f"inference.stride={self.stride} inference.spread={self.spread}: pixels between the patches would get"
                " nothing; the stride must be at least 1 and not above the spread"
            )
        if batch_size < 1:
            raise UserError(f"inference.batch_size={batch_size}: must be at least 1")
        self.batch_size = batch_size
        self.mirror = mirror
        self.rotate = rotate
        self._said = False

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits of every head for image (B, C, *S), in float32."""
        size = image.shape[2:]
        self._say_where_small(network, size)
        centres = [patch_centres(length, self.stride) for length in size]
        padded = mirror_pad(
            image,
            [(window - 1) // 2 for window in self.window],
            [length + window - 1 for length, window in zip(size, self.window, strict=True)],
        )
        # In the padded image a patch begins where its centre is in the image.
        places = [
            tuple(slice(at, at + extent) for at, extent in zip(corner, self.window, strict=True))
            for corner in itertools.product(*centres)
        ]
        jobs = list(itertools.product(range(len(image)), places))
        found: dict[str, list[Tensor]] = {}
        for first in range(0, len(jobs), self.batch_size):
            patches = torch.stack([padded[item, :, *place] for item, place in jobs[first : first + self.batch_size]])
            for head, logits in predict_views(network, patches, self.mirror, self.rotate).items():
                middle = tuple(slice((extent - 1) // 2, (extent - 1) // 2 + 1) for extent in logits.shape[2:])
                found.setdefault(head, []).append(logits[:, :, *middle].flatten(1))
        grid = (len(image), *map(len, centres), -1)
        return {
            head: self._paint(torch.cat(parts).reshape(grid).movedim(-1, 1), centres, size)
            for head, parts in found.items()
        }

    def _paint(self, logits: Tensor, centres: Sequence[Sequence[int]], size: Sequence[int]) -> Tensor:
        """Logits (B, K, *N) of patches around these centres -> (B, K, *S).

        The weight of a patch is a product over axes, and so are the sums: one axis is painted after the other.
        """
        for axis, (places, length) in enumerate(zip(centres, size, strict=True), start=2):
            brush = painting(places, length, self.spread).to(logits.device)
            logits = torch.movedim(torch.movedim(logits, axis, -1) @ brush, -1, axis)
        return logits.contiguous()

    def _say_where_small(self, network: Network, size: Sequence[int]) -> None:
        if not self._said and any(length < window for length, window in zip(size, self.window, strict=True)):
            self._said = True
            log.info(
                "%s sees patches of %s pixels; images that are smaller, such as %s, are padded by mirroring",
                type(getattr(network, "model", network)).__name__,
                " x ".join(map(str, self.window)),
                " x ".join(map(str, size)),
            )


def patch_centres(length: int, stride: int) -> list[int]:
    """Pixels from 0 to length - 1, both included, evenly spread, no two further apart than the stride."""
    gaps = math.ceil((length - 1) / stride)
    return [round(number * (length - 1) / max(gaps, 1)) for number in range(gaps + 1)]


def painting(centres: Sequence[int], length: int, spread: int) -> Tensor:
    """The share of each centre in each pixel of an axis: (centres, length) float32, of which every column sums to 1."""
    distance = (torch.arange(length)[None] - torch.tensor(centres)[:, None]).abs()
    weight = squared_spline((1 - distance / (spread / 2)).clamp(min=0))
    return weight / weight.sum(dim=0)


def squared_spline(t: Tensor) -> Tensor:
    """A rise from 0 at t = 0 to 1 at t = 1 along two parabolas: 2 t^2, and 1 - 2 (1 - t)^2 from t = 1/2 on.

    Two of them, one rising where the other falls, sum to one.
    """
    return torch.where(t < 0.5, 2 * t**2, 1 - 2 * (1 - t) ** 2)
