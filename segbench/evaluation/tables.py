"""Pictures of tables of classes by classes, such as a confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segbench.evaluation.previews import write_picture

_CELL = 76
_DARK = np.array([0, 90, 156], dtype=np.float64)
"""Colour of a cell that holds its whole row; an empty one is white."""


def write_tables(tables: Mapping[str, np.ndarray], classes: Sequence[str], folder: Path, title: str) -> None:
    """Draw each table as a picture of its name.

    Args:
        tables: (K, K) counts: a row for each class of the reference, a column for each predicted one.
        classes: their names, by index.
        folder: the folder of the pictures.
        title: in front of the name, above the table.
    """
    for name, table in tables.items():
        write_picture(folder / f"{name}.png", np.asarray(draw_table(table, classes, f"{title} {name}")))


def draw_table(table: np.ndarray, classes: Sequence[str], title: str) -> Image.Image:
    """A table as shares of its rows, in per cent, with the classes beside it."""
    font = ImageFont.load_default(13)
    sums = table.sum(axis=1, keepdims=True).astype(np.float64)
    shares = np.divide(table, sums, out=np.zeros(table.shape), where=sums > 0)
    left = 24 + int(max(font.getlength(name) for name in classes))
    head, below = 48, 30
    size = len(classes) * _CELL
    width = max(left + size + 12, int(font.getlength(title)) + 24)
    canvas = Image.new("RGB", (width, head + size + below), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((12, 6), title, fill="black", font=font)
    for row, name in enumerate(classes):
        draw.text((left - 8, head + row * _CELL + _CELL / 2), name, fill="black", font=font, anchor="rm")
        draw.text((left + row * _CELL + _CELL / 2, head - 8), _fitted(name, font), fill="black", font=font, anchor="ms")
        for column, share in enumerate(shares[row].tolist()):
            colour = 255 + share * (_DARK - 255)
            x, y = left + column * _CELL, head + row * _CELL
            draw.rectangle((x, y, x + _CELL - 2, y + _CELL - 2), fill=tuple(map(round, colour.tolist())))
            text = f"{100 * share:.1f}" if sums[row, 0] else "-"
            ink = "white" if share > 0.55 else "black"
            draw.text((x + _CELL / 2, y + _CELL / 2), text, fill=ink, font=font, anchor="mm")
    draw.text((left, head + size + 6), "rows: reference; columns: predicted; %", fill=(90, 90, 90), font=font)
    return canvas


def _fitted(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of a name as a column is wide."""
    while len(name) > 2 and font.getlength(name) > _CELL - 4:
        name = f"{name[:-2]}."
    return name
