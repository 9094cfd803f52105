"""Predicting a whole case: in one pass, or by windows that are blended; optionally averaged over mirrors.

An inference object is called with the network and a batch of whole images and returns what the
network returns: a dict of logits, each at the image's size (for deep supervision the finest only), in float32.
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
        return _predict(network, image, self.mirror)


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
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: must be at least 1")
        self.window = tuple(window)
        self.overlap = overlap
        self.weighting = weighting
        self.batch_size = batch_size
        self.mirror = mirror

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits of every head for image (B, C, *S), in float32."""
        size = image.shape[2:]
        missing = [max(want - have, 0) for want, have in zip(self.window, size, strict=True)]
        before = [gap // 2 for gap in missing]
        # The last axis comes first here.
        around = [(first, gap - first) for first, gap in zip(before, missing, strict=True)][::-1]
        padded = pad(image, list(itertools.chain.from_iterable(around)))
        inside = tuple(slice(first, first + length) for first, length in zip(before, size, strict=True))
        return {head: logits[:, :, *inside] for head, logits in self._blend(network, padded).items()}

    def _blend(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        size = image.shape[2:]
        places = window_places(size, self.window, self.overlap)
        if len(places) == 1:
            return _predict(network, image, self.mirror)
        weight = window_weight(self.window, self.weighting).to(image.device)
        sums: dict[str, Tensor] = {}
        jobs = list(itertools.product(range(len(image)), places))
        for first in range(0, len(jobs), self.batch_size):
            chunk = jobs[first : first + self.batch_size]
            windows = torch.stack([image[item, :, *place] for item, place in chunk])
            for head, logits in _predict(network, windows, self.mirror).items():
                if head not in sums:
                    sums[head] = torch.zeros((len(image), logits.shape[1], *size), device=image.device)
                for (item, place), part in zip(chunk, logits, strict=True):
                    sums[head][item, :, *place].addcmul_(part, weight)
        total = torch.zeros(size, device=image.device)
        for place in places:
            total[place] += weight
        return {head: value.div_(total) for head, value in sums.items()}


def window_places(size: Sequence[int], window: Sequence[int], overlap: float) -> list[tuple[slice, ...]]:
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
    """An impulse in the middle, blurred with deviation window / 8, divided by its largest value.

    No weight is 0, since the border is four deviations away, which is how far the blur reaches.
    """
    impulse = np.zeros(window)
    impulse[tuple(extent // 2 for extent in window)] = 1
    blurred = gaussian_filter(impulse, [extent / 8 for extent in window], mode="constant")
    return np.asarray(blurred / blurred.max())


def _constant(window: tuple[int, ...]) -> np.ndarray:
    return np.ones(window)


WEIGHTINGS: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {"gaussian": _gaussian, "constant": _constant}


@lru_cache(maxsize=8)
def window_weight(window: tuple[int, ...], weighting: str) -> Tensor:
    """The weight of each pixel of a window: (*W) float32, positive, at most 1."""
    return torch.from_numpy(WEIGHTINGS[weighting](window)).float()


def _predict(network: Network, image: Tensor, mirror: bool) -> dict[str, Tensor]:
    """The finest logits of every head in float32; if asked, their mean over all mirrored versions."""
    return _mirrored(network, image, range(2, image.ndim) if mirror else ())


def _mirrored(network: Network, image: Tensor, axes: Sequence[int]) -> dict[str, Tensor]:
    """Mean logits over all subsets of mirrored axes, each turned back first."""
    if not axes:
        return _finest(network(image))
    axis, *others = axes
    plain = _mirrored(network, image, others)
    turned = _mirrored(network, image.flip(axis), others)
    # Means of two, so that rounding leaves equal logits as they are.
    return {head: (logits + turned[head].flip(axis)) / 2 for head, logits in plain.items()}


def _finest(outputs: Outputs) -> dict[str, Tensor]:
    return {head: (value[0] if isinstance(value, list) else value).float() for head, value in outputs.items()}
