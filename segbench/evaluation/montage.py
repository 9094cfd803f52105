"""A montage of a volume: its slices one beside the other, with the errors of a prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segbench.data.case import IGNORE
from segbench.data.volume_resampling import nearest_pixels
from segbench.evaluation.previews import display, error_colours

_MOST = 15
"""Slices."""
_ACROSS = 5
_WIDTH = 200
"""Pixels of a slice."""
_GAP, _LINE = 6, 18


def montage(
    image: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    background: int | None,
    title: str,
    spacing: Sequence[float],
) -> Image.Image:
    """Slices at even distances through all that is foreground, as bright as each other, errors over them.

    Args:
        image: (C, D, H, W), raw intensities, of which the first channel is shown.
        reference: (D, H, W) classes, 255 = ignore.
        prediction: (D, H, W) classes.
        background: the class that is no foreground, or None.
        title: above the slices.
        spacing: size of a voxel along each axis.
    """
    chosen = shown_slices(reference, prediction, background)
    length, width = image.shape[2:]
    grey = display(image[:1, chosen].reshape(1, -1, width)).reshape(len(chosen), length, width, 3)
    size = _WIDTH, max(1, round(_WIDTH * length * spacing[1] / (width * spacing[2])))
    rows = -(-len(chosen) // _ACROSS)
    canvas = Image.new(
        "RGB", (_ACROSS * (size[0] + _GAP) + _GAP, rows * (size[1] + _LINE + _GAP) + 2 * _LINE + _GAP), "white"
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    draw.text((_GAP, 4), title, fill="black", font=font)
    draw.text((_GAP, 4 + _LINE), "blue missed, red invented, yellow wrong class", fill=(90, 90, 90), font=font)
    for number, place in enumerate(chosen):
        left = _GAP + number % _ACROSS * (size[0] + _GAP)
        top = 2 * _LINE + _GAP + number // _ACROSS * (size[1] + _LINE + _GAP)
        pixels = error_colours(grey[number], reference[place], prediction[place], background)
        for axis, wanted in ((0, size[1]), (1, size[0])):
            pixels = pixels.take(nearest_pixels(pixels.shape[axis], wanted), axis)
        draw.text((left, top), f"slice {place} of {len(reference)}", fill=(90, 90, 90), font=font)
        canvas.paste(Image.fromarray(pixels.astype(np.uint8)), (left, top + _LINE))
    return canvas


def shown_slices(reference: np.ndarray, prediction: np.ndarray, background: int | None) -> list[int]:
    """Up to 15 slices, evenly from the first to the last that has foreground in one of (D, H, W); else of all."""
    nothing = -1 if background is None else background
    there = (reference != nothing) & (reference != IGNORE) | (prediction != nothing)
    found = np.flatnonzero(there.any(axis=(1, 2)))
    first, last = (int(found[0]), int(found[-1])) if len(found) else (0, len(reference) - 1)
    return sorted({round(float(place)) for place in np.linspace(first, last, _MOST)})
