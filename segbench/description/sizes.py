"""The sizes of patches that a network takes, found by trying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SAMPLE = (1, 2, 3, 5, 31, 33, 127, 128)
"""A network that takes all of these takes any size."""
WINDOW = range(192, 192 + 65)
"""Sizes that show the step between accepted ones, up to 64."""
USUAL = (28, 32, 48, 64, 96, 112, 128, 160, 224, 256, 299, 320, 384, 448, 512)
"""Sizes that networks of one size are made for."""


@dataclass(frozen=True)
class Sizes:
    """The accepted sizes along an axis, which are minimum + k * multiple; a multiple of 0: those of `only`.

    Attributes:
        minimum: pixels.
        multiple: pixels between one size and the next.
        only: the sizes that were accepted, where they follow no such rule.
    """

    minimum: int
    multiple: int
    only: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.multiple:
            return f"{', '.join(map(str, self.only))} only" if self.only else "none of those tried"
        if self.multiple == 1:
            return "any" if self.minimum == 1 else f"from {self.minimum}"
        offset = self.minimum % self.multiple
        if not offset:
            start = "" if self.minimum == self.multiple else f" from {self.minimum}"
            return f"multiples of {self.multiple}{start}"
        return f"{self.multiple} k + {offset} from {self.minimum}"


def find_sizes(accepts: Callable[[int], bool]) -> Sizes:
    """The sizes along each axis that a network takes.

    Args:
        accepts: tries a patch of so many pixels along every axis.
    """
    if all(map(accepts, SAMPLE)):
        return Sizes(1, 1)
    accepted = [size for size in WINDOW if accepts(size)]
    if len(accepted) < 2:
        return Sizes(0, 0, tuple(size for size in sorted({*USUAL, *accepted}) if accepts(size)))
    multiple = accepted[1] - accepted[0]
    refused, least = _last_refused(accepted[0], multiple), accepted[0]
    while least - refused > multiple:  # accepted sizes are those from a minimum on
        middle = refused + (least - refused) // multiple // 2 * multiple
        if accepts(middle):
            least = middle
        else:
            refused = middle
    return Sizes(least, multiple)


def _last_refused(size: int, multiple: int) -> int:
    """The size of the same remainder that no image has."""
    return size % multiple - multiple if size % multiple else 0
