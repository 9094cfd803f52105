"""The sizes that a U-Net takes: any by padding, or those of valid convolutions, and the size of its prediction."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.blocks import match_size, padded_size

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


class SizedNetwork(nn.Module):
    """A network that pads an image to the size it takes, or with valid convolutions predicts its centre.

    Attributes:
        stride: sizes are padded to a multiple of it.
        valid: the sizes of valid convolutions; None: all convolutions are padded.
    """

    stride: int
    valid: ValidSizes | None

    def check_patch(self, size: Sequence[int]) -> None:
        """Refuse a size of training patches that the network cannot take.

        Raises:
            UserError: saying the least and the nearest size.
        """
        if self.valid is not None:
            self.valid.check(size, "data.patch_size")

    def fitted(self, image: Tensor) -> tuple[Tensor, Sequence[int]]:
        """The image (B, C, *P) as the encoder takes it, and the size of the prediction.

        Raises:
            UserError: where valid convolutions cannot take this size.
        """
        size: Sequence[int] = image.shape[2:]
        if self.valid is None:
            return match_size(image, padded_size(size, self.stride), "pad"), size
        self.valid.check(size, "data.patch_size or inference.window")
        return image, [self.valid.predicted(n) for n in size]
