"""The overlap-tile strategy of U-Net (Ronneberger, Fischer and Brox 2015, figure 2)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from segbench.data.patches import mirror as mirrored
from segbench.errors import UserError
from segbench.inference.views import Mirror, Network, predict_views


class OverlapTile:
    """Tiles whose predictions lie edge to edge: what the network sees overlaps, what it says does not.

    For networks that predict less than they see, the centre of the tile: valid convolutions, or a
    sliding-window classifier that returns one pixel for each place of its window. What the tile has beyond its
    prediction is the margin; beyond the image it is the mirrored image. Where the step from tile to tile is a
    multiple of the network's total stride, the result is that of one pass over the whole mirrored image.

    Attributes:
        window: what the network sees at once, (W_1, .., W_D) pixels; how much of it is predicted is
            found out from the network.
        step_multiple: the step is the largest multiple of this many pixels that leaves no gap.
        margin: pixels at each border of a tile whose prediction is thrown away, for networks that
            predict all that they see; None takes all that the network returns.
        batch_size: tiles in one pass.
        mirror: average the logits over all 2^D mirrored versions of each tile, or of some axes: [false, true].
        rotate: and over quarter turns in the plane of the last two axes.
    """

    def __init__(
        self,
        window: Sequence[int],
        step_multiple: int = 1,
        margin: int | None = None,
        batch_size: int = 4,
        mirror: Mirror = False,
        rotate: bool = False,
    ) -> None:
        if step_multiple < 1:
            raise ValueError(f"step_multiple={step_multiple}: must be at least 1")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: must be at least 1")
        if margin is not None and not 0 <= 2 * margin < min(window):
            raise ValueError(f"margin={margin}: must leave something of window={list(window)}")
        self.window = tuple(window)
        self.step_multiple = step_multiple
        self.margin = margin
        self.batch_size = batch_size
        self.mirror = mirror
        self.rotate = rotate
        self._measured: tuple[Network, tuple[int, ...]] | None = None

    def __call__(self, network: Network, image: Tensor) -> dict[str, Tensor]:
        """Logits of every head for image (B, C, *S), in float32.

        Raises:
            UserError: where a tile predicts nothing, all that it sees, or less than a step.
        """
        size, predicted = image.shape[2:], self._predicted_size(network, image)
        # The same first pixel as that of the centre of a training target.
        before = [(window - extent) // 2 for window, extent in zip(self.window, predicted, strict=True)]
        steps = [extent - extent % self.step_multiple for extent in predicted]
        if not all(steps):
            raise UserError(
                f"inference.step_multiple={self.step_multiple}: a tile of {self.window} predicts only {predicted};"
                " give a larger inference.window or a smaller step"
            )
        counts = [math.ceil(length / step) for length, step in zip(size, steps, strict=True)]
        covered = [(count - 1) * step + extent for count, step, extent in zip(counts, steps, predicted, strict=True)]
        padded = mirror_pad(image, before, [c + w - p for c, w, p in zip(covered, self.window, predicted, strict=True)])
        corners = list(itertools.product(*(range(0, n * step, step) for n, step in zip(counts, steps, strict=True))))
        places = [(_box(corner, self.window), _box(corner, predicted)) for corner in corners]
        jobs = list(itertools.product(range(len(image)), places))
        results: dict[str, Tensor] = {}
        for first in range(0, len(jobs), self.batch_size):
            chunk = jobs[first : first + self.batch_size]
            tiles = torch.stack([padded[item, :, *seen] for item, (seen, _) in chunk])
            for head, logits in self._predict(network, tiles).items():
                if head not in results:
                    results[head] = logits.new_empty((len(image), logits.shape[1], *covered))
                for (item, (_, place)), part in zip(chunk, logits, strict=True):
                    results[head][item, :, *place] = part
        inside = _box((0,) * len(size), size)
        return {head: logits[:, :, *inside] for head, logits in results.items()}

    def _predict(self, network: Network, tiles: Tensor) -> dict[str, Tensor]:
        outputs = predict_views(network, tiles, self.mirror, self.rotate)
        if self.margin is None:
            return outputs
        cut = tuple(slice(self.margin, extent - self.margin) for extent in self.window)
        return {head: logits[:, :, *cut] for head, logits in outputs.items()}

    def _predicted_size(self, network: Network, image: Tensor) -> tuple[int, ...]:
        """The size of a window's prediction: from one tile of zeros, the first time that a network comes."""
        if self._measured is None or self._measured[0] is not network:
            outputs = self._predict(network, image.new_zeros(1, image.shape[1], *self.window))
            size = next(iter(outputs.values())).shape[2:]
            if any(extent > window for extent, window in zip(size, self.window, strict=True)):
                raise UserError(f"inference.window={list(self.window)}: the network returns more, {tuple(size)} pixels")
            if self.margin is None and tuple(size) == self.window:
                raise UserError(
                    "inference=overlap_tile: the network predicts all that it sees, with seams between tiles; give"
                    " inference.margin, half the overlap of two tiles, or use inference=sliding_window"
                )
            self._measured = network, tuple(size)
        return self._measured[1]


def _box(corner: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + extent) for start, extent in zip(corner, size, strict=True))


def mirror_pad(image: Tensor, before: Sequence[int], size: Sequence[int]) -> Tensor:
    """The image (B, C, *S) mirrored at its border pixels, as often as needed, to `size` pixels.

    Args:
        image: what is mirrored, as training patches are.
        before: pixels in front of the image along each axis.
        size: of the result.
    """
    for axis, (first, extent) in enumerate(zip(before, size, strict=True), start=2):
        source = mirrored(np.arange(extent) - first, image.shape[axis])
        image = image.index_select(axis, torch.from_numpy(source).to(image.device))
    return image
