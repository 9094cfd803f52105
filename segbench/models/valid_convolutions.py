"""The sizes that a U-Net of valid convolutions takes, and the size of its prediction."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from segbench.errors import UserError

UPSAMPLINGS = {"transposed": 0, "nearest": 2, "pixel_shuffle": 4}
"""Ways of up-sampling that read nothing beyond the border, and by how many pixels the result is smaller
than twice the input."""

POOLINGS = ("max_pool", "avg_pool")
"""Ways of down-sampling that do so at even sizes."""


@dataclass(frozen=True)
class ValidSizes:
    """The arithmetic of sizes along one axis.

    Attributes:
        convs: 3x3(x3) convolutions of each stage, from the highest resolution to the lowest; each takes
            two pixels away. The decoder has as many.
        up: pixels that an up-sampling takes away from twice the size.
    """

    convs: Sequence[int]
    up: int

    def predicted(self, size: int) -> int:
        """Pixels of the output; 0 where nothing is left or a pooling meets an odd size."""
        *upper, lowest = (2 * count for count in self.convs)
        for taken in upper:
            size -= taken
            if size % 2:
                return 0
            size //= 2
        size -= lowest
        for taken in reversed(upper):
            size = 2 * size - self.up - taken
        # Had a stage above nothing left, the last had less than nothing.
        return max(size, 0)

    def check(self, size: Sequence[int], key: str) -> None:
        """Refuse what the network cannot take.

        Args:
            size: pixels along each axis.
            key: what the user sets it by, for the error.

        Raises:
            UserError: saying the least and the nearest size that would do.
        """
        if all(map(self.predicted, size)):
            return
        least = next(filter(self.predicted, itertools.count(1)))
        step = 2 ** (len(self.convs) - 1)
        nearest = [least + max(0, round((n - least) / step)) * step for n in size]
        raise UserError(
            f"{key}={list(size)}: without padding this network takes {least}, {least + step}, {least + 2 * step}, .."
            f" pixels along an axis, at least {least}; the nearest size is {nearest}"
        )
