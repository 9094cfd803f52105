"""Predicting a whole case: in one pass, or by windows that are blended; optionally averaged over mirrors.

An inference object is called with the network and a batch of whole images and returns what the
network returns: a dict of logits, each at the image's size (for deep supervision the finest only).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import pad

Outputs = Mapping[str, Tensor | list[Tensor]]
Network = Callable[[Tensor], Outputs]


class Whole:
    """The whole image in one pass: exact, but the memory grows with the image.

    Attributes:
        mirror: average the logits over all 2^D mirrored versions of the image.
    """

    def __init__(self, mirror: bool = False) -> None:
        self.mirror = mirror

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits of every head for image (B, C, *S)."""
        return _mirrored(network, image) if self.mirror else _finest(network(image))


class SlidingWindow:
    """Overlapping windows whose logits are averaged, as in nnU-Net (Isensee et al. 2021).

    Attributes:
        window: window size (W_1, .., W_D) in pixels; smaller images are padded with zeros around
            and cropped back.
        overlap: share of the window that neighbours have in common at least, 0 <= overlap < 1.
        weighting: "gaussian" (centre counts most; deviation = window / 8) or "constant".
        batch_size: windows in one pass.
        mirror: average the logits over all 2^D mirrored versions of each window.
    """

    def __init__(
        self,
        window: Sequence[int],
        overlap: float = 0.5,
        weighting: str = "gaussian",
        batch_size: int = 4,
        mirror: bool = False,
    ) -> None:
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap={overlap}: must be at least 0 and below 1")
        if weighting not in WEIGHTINGS:
            raise ValueError(f"weighting={weighting}: must be one of {', '.join(WEIGHTINGS)}")
        self.window = tuple(window)
        self.overlap = overlap
        self.weighting = weighting
        self.batch_size = batch_size
        self.mirror = mirror

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits of every head for image (B, C, *S)."""
        size = image.shape[2:]
        missing = [max(want - have, 0) for want, have in zip(self.window, size, strict=True)]
        if any(missing):
            around = [(gap // 2, gap - gap // 2) for gap in missing]
            image = pad(image, [amount for pair in reversed(around) for amount in pair])
            inner = (slice(None), slice(None), *(slice(b, b + n) for (b, _), n in zip(around, size, strict=True)))
            return {head: logits[inner] for head, logits in self._blend(network, image).items()}
        return self._blend(network, image)

    def _blend(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        size = image.shape[2:]
        places = window_places(size, self.window, self.overlap)
        forward = (lambda part: _mirrored(network, part)) if self.mirror else (lambda part: _finest(network(part)))
        if len(places) == 1:
            return forward(image)
        weight = window_weight(self.window, self.weighting).to(image.device)
        total = torch.zeros(size, device=image.device)
        sums: dict[str, Tensor] = {}
        jobs = [(item, place) for item in range(len(image)) for place in places]
        for first in range(0, len(jobs), self.batch_size):
            chunk = jobs[first : first + self.batch_size]
            windows = torch.stack([image[item][(slice(None), *place)] for item, place in chunk])
            for head, logits in forward(windows).items():
                if head not in sums:
                    shape = (len(image), logits.shape[1], *size)
                    sums[head] = torch.zeros(shape, device=image.device)
                for (item, place), part in zip(chunk, logits, strict=True):
                    sums[head][item][(slice(None), *place)].addcmul_(part.float(), weight)
        for place in places:
            total[place] += weight
        return {head: value.div_(total) for head, value in sums.items()}


def window_places(
    size: Sequence[int], window: Sequence[int], overlap: float
) -> list[tuple[slice, ...]]:
    """Where the windows lie: evenly spread, the first and last flush with the border.

    Along an axis there are ceil((size - window) / (window * (1 - overlap))) + 1 of them.
    """
    axes: list[list[slice]] = []
    for length, extent in zip(size, window, strict=True):
        count = math.ceil((length - extent) / (extent * (1 - overlap))) + 1
        gap = (length - extent) / max(count - 1, 1)
        starts = [round(number * gap) for number in range(count)]
        axes.append([slice(start, start + extent) for start in starts])
    return list(itertools.product(*axes))


def _gaussian(window: tuple[int, ...]) -> np.ndarray:
    """An impulse in the middle, blurred with deviation window / 8, divided by its largest value."""
    impulse = np.zeros(window)
    impulse[tuple(extent // 2 for extent in window)] = 1
    blurred = gaussian_filter(impulse, [extent / 8 for extent in window], mode="constant")
    blurred /= blurred.max()
    # Far corners underflow to zero, and a pixel that only they cover would be divided by it.
    return np.asarray(np.maximum(blurred, blurred[blurred > 0].min()))


def _constant(window: tuple[int, ...]) -> np.ndarray:
    return np.ones(window)


WEIGHTINGS: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {"gaussian": _gaussian, "constant": _constant}


@lru_cache(maxsize=8)
def window_weight(window: tuple[int, ...], weighting: str) -> Tensor:
    """The weight of each pixel of a window: (*W) float32, positive, at most 1."""
    return torch.from_numpy(WEIGHTINGS[weighting](window)).float()


def _finest(outputs: Outputs) -> dict[str, Tensor]:
    return {head: value[0] if isinstance(value, list) else value for head, value in outputs.items()}


def _mirrored(network: Network, image: Tensor) -> dict[str, Tensor]:
    """Mean logits over all subsets of mirrored axes, each turned back first."""
    axes = range(2, image.ndim)
    subsets = [subset for count in range(image.ndim - 1) for subset in itertools.combinations(axes, count)]
    sums: dict[str, Tensor] = {}
    for subset in subsets:
        outputs = _finest(network(image.flip(subset) if subset else image))
        for head, logits in outputs.items():
            back = logits.float().flip(subset) if subset else logits.float()
            sums[head] = sums[head] + back if head in sums else back
    return {head: value / len(subsets) for head, value in sums.items()}
