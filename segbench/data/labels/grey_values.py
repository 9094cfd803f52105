"""Values between those of the classes, as smoothed edges (anti-aliasing) and lossy formats leave them in masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

MANY = 8
"""Values beyond those of the classes that may still be classes; more of them are grey values, or a picture."""

GREY_VALUES = "they are grey values, as drawing programs leave them along smoothed edges (anti-aliasing)"

_MAIN_SHARE = 0.8
"""Of the pixels, at least, have the values of the classes themselves: edges are thin."""


def main_values(pixels: Mapping[int, int], classes: int) -> list[int] | None:
    """The values that were drawn, ascending, where all others are grey values between them; else None.

    Args:
        pixels: how many pixels of some masks have each value.
        classes: how many values were drawn.
    """
    main = sorted(sorted(pixels, key=lambda value: -pixels[value])[:classes])
    if len(pixels) - len(main) <= MANY or min(pixels) < main[0] or max(pixels) > main[-1]:
        return None
    share = sum(pixels[value] for value in main) / sum(pixels.values())
    return main if share >= _MAIN_SHARE else None


def ranges_around(main: Sequence[int]) -> list[range]:
    """For each of some ascending values the range of values that are nearest to it, of all of 8 or 16 bits."""
    cuts = [(low + high) // 2 + 1 for low, high in pairwise(main)]
    end = 256 if main[-1] < 256 else 65536
    return [range(low, high) for low, high in zip([0, *cuts], [*cuts, end], strict=True)]
