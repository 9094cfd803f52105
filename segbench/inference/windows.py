"""Windows that are blended, and the whole image as one window."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import pad

from segbench.errors import UserError
from segbench.inference.views import Mirror, Network, predict_views


class Whole:
    """The whole image in one pass: exact, but the memory grows with the image.

    Attributes:
        mirror: average the logits over all 2^D mirrored versions of the image, or of some axes: [false, true].
        rotate: and over quarter turns in the plane of the last two axes.
    """

    def __init__(self, mirror: Mirror = False, rotate: bool = False) -> None:
        self.mirror = mirror
        self.rotate = rotate

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits of every head for image (B, C, *S).

        Raises:
            UserError: where the network predicts less than it sees.
        """
        predicted = predict_views(network, image, self.mirror, self.rotate)
        _check_size(predicted, image.shape[2:], "whole")
        return predicted


class SlidingWindow:
    """Overlapping windows whose logits are averaged, as in nnU-Net (Isensee et al. 2021).

    Attributes:
        window: window size (W_1, .., W_D) in pixels; smaller images are padded with zeros around
            and cropped back.
        overlap: share of the window that neighbours have in common at least, 0 <= overlap < 1.
        weighting: "gaussian" (centre counts most; deviation = window / 8) or "constant".
        batch_size: windows in one pass.
        mirror: average the logits over all 2^D mirrored versions of each window, or of some axes: [false, true].
        rotate: and over quarter turns in the plane of the last two axes.
    """

    def __init__(
        self,
        window: Sequence[int],
        overlap: float = 0.5,
        weighting: str = "gaussian",
        batch_size: int = 4,
        mirror: Mirror = False,
        rotate: bool = False,
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
        self.rotate = rotate

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits of every head for image (B, C, *S), in float32.

        Raises:
            UserError: where the network predicts less than it sees.
        """
        padded, inside = self._padded(image)
        return {head: logits[:, :, *inside] for head, logits in self._blend(network, padded).items()}

    def slabs(self, network: Network, image: Tensor) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The same of one image (1, C, *S), some rows of the first axis of S at a time: those that are complete.

        The sums are kept where the network computes, or on the host where they do not fit.

        Yields:
            The first row, and logits (K, rows, ..) of every head, in float32.
        """
        padded, inside = self._padded(image)
        places = window_places(padded.shape[2:], self.window, self.overlap)
        starts = sorted({place[0].start for place in places})
        ends = [*starts[1:], padded.shape[2]]
        depth, rest = self.window[0], padded.shape[3:]
        weight = window_weight(self.window, self.weighting).to(image.device)
        sums: dict[str, Tensor] = {}
        total = torch.zeros((depth, *rest), device=image.device)
        for start, end in zip(starts, ends, strict=True):
            here = [place for place in places if place[0].start == start]
            for first in range(0, len(here), self.batch_size):
                chunk = here[first : first + self.batch_size]
                windows = torch.stack([padded[0][:, *place] for place in chunk])
                for head, logits in self._predict(network, windows).items():
                    if head not in sums:
                        sums[head] = _sums((logits.shape[1], depth, *rest), image.device)
                    for place, part in zip(chunk, logits, strict=True):
                        sums[head][:, :, *place[1:]] += (part * weight).to(sums[head].device)
            for place in here:
                total[:, *place[1:]] += weight
            done = end - start
            low, high = max(start, inside[0].start), min(end, inside[0].stop)
            if low < high:
                rows = slice(low - start, high - start)
                yield (
                    low - inside[0].start,
                    {
                        head: value[:, rows, *inside[1:]] / total[rows, *inside[1:]].to(value.device)
                        for head, value in sums.items()
                    },
                )
            for value in (*sums.values(), total[None]):
                value[:, : depth - done] = value[:, done:].clone()
                value[:, depth - done :] = 0

    def _padded(self, image: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
        """The image, as large as a window at least, and its place in it."""
        size = image.shape[2:]
        missing = [max(want - have, 0) for want, have in zip(self.window, size, strict=True)]
        before = [gap // 2 for gap in missing]
        # The last axis comes first here.
        around = [(first, gap - first) for first, gap in zip(before, missing, strict=True)][::-1]
        padded = pad(image, list(itertools.chain.from_iterable(around)))
        inside = tuple(slice(first, first + length) for first, length in zip(before, size, strict=True))
        return padded, inside

    def _blend(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        size = image.shape[2:]
        places = window_places(size, self.window, self.overlap)
        if len(places) == 1:
            return self._predict(network, image)
        weight = window_weight(self.window, self.weighting).to(image.device)
        sums: dict[str, Tensor] = {}
        jobs = list(itertools.product(range(len(image)), places))
        for first in range(0, len(jobs), self.batch_size):
            chunk = jobs[first : first + self.batch_size]
            windows = torch.stack([image[item, :, *place] for item, place in chunk])
            for head, logits in self._predict(network, windows).items():
                if head not in sums:
                    sums[head] = torch.zeros((len(image), logits.shape[1], *size), device=image.device)
                for (item, place), part in zip(chunk, logits, strict=True):
                    sums[head][item, :, *place].addcmul_(part, weight)
        total = torch.zeros(size, device=image.device)
        for place in places:
            total[place] += weight
        return {head: value.div_(total) for head, value in sums.items()}

    def _predict(self, network: Network, windows: Tensor) -> dict[str, Tensor]:
        predicted = predict_views(network, windows, self.mirror, self.rotate)
        _check_size(predicted, self.window, "sliding_window")
        return predicted


def _sums(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Zeros on a device, or on the host where they would take more than half of its free memory."""
    if device.type == "cuda" and 4 * math.prod(shape) > torch.cuda.mem_get_info(device)[0] / 2:
        device = torch.device("cpu")
    return torch.zeros(shape, device=device)


def _check_size(predicted: Mapping[str, Tensor], seen: Sequence[int], name: str) -> None:
    for logits in predicted.values():
        if logits.shape[2:] != torch.Size(seen):
            raise UserError(
                f"inference={name}: the network predicts {tuple(logits.shape[2:])} of the {tuple(seen)} pixels that it"
                " sees; such networks need inference=overlap_tile, or inference=dense_patches where it is one pixel"
            )


def window_places(size: Sequence[int], window: Sequence[int], overlap: float) -> list[tuple[slice, ...]]:
    """The first pixels of the windows: evenly spread, the first and last window flush with the border.

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
