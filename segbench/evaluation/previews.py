"""Pictures of results: image, reference, prediction and errors side by side; curves over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from segbench.data.case import IGNORE
from segbench.data.labels.region_classes import RegionClasses, region_masks
from segbench.runs.criterion import Criterion
from segbench.system.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

PALETTE = np.array(
    [[230, 159, 0], [0, 158, 115], [204, 121, 167], [240, 228, 66], [86, 180, 233], [213, 94, 0], [0, 114, 178]],
    dtype=np.float32,
)  # fmt: skip
"""Class colours: Okabe and Ito's, which colour-blind readers can tell apart."""

MISSED = np.array([30, 90, 255], dtype=np.float32)
INVENTED = np.array([235, 40, 40], dtype=np.float32)
CONFUSED = np.array([255, 190, 0], dtype=np.float32)

_PANELS = ("loss", "validation", "learning rate")

_TICKS = 6
"""Numbers along an axis at most: to write them is what takes the time."""

_HEADER = 26
_GAP = 6
_SMALLEST = 256
_LARGEST = 640
_LINE, _SQUARE = 20, 12
"""Pixels: height of a line of the legend, side of a coloured square in it."""


def preview(
    image: np.ndarray,
    reference: np.ndarray | None,
    prediction: np.ndarray,
    background: int | None,
    title: str,
    classes: Sequence[str] = (),
    each_channel: bool = False,
) -> Image.Image:
    """Image, reference, prediction and errors of one case side by side.

    Errors: missed foreground (false negative) is blue, invented foreground (false positive) red, and
    foreground of the wrong class yellow. Of a volume the slice with most foreground is shown.

    Args:
        image: (C, *S), raw intensities.
        reference: (*S) classes, 255 = ignore; None shows image and prediction only.
        prediction: (*S) classes.
        background: the class that is no foreground, or None.
        title: above the panels.
        classes: their names, for a legend where several are foreground; none: there is no legend.
        each_channel: show each channel: they are no colours, but modalities.
    """
    if prediction.ndim == 3:
        shown = prediction if reference is None else reference
        depth = int(np.argmax(_foreground(shown, background).sum(axis=(1, 2))))
        image, prediction = image[:, depth], prediction[depth]
        reference = None if reference is None else reference[depth]
    grey = display(image[:1] if each_channel else image)
    panels = _channel_panels(image) if each_channel else [("image", grey)]
    if reference is not None:
        panels.append(("reference", _coloured(grey, reference, background)))
    panels.append(("prediction", _coloured(grey, prediction, background)))
    if reference is not None:
        name = "errors: blue missed, red invented, yellow wrong class"
        panels.append((name, error_colours(grey, reference, prediction, background)))
    coloured = [index for index in range(len(classes)) if index != background]
    return _side_by_side(panels, title, {classes[k]: _class_colour(k, background) for k in coloured})


def preview_regions(
    image: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    regions: RegionClasses,
    title: str,
    each_channel: bool = False,
) -> Image.Image:
    """Image, reference, prediction and errors of overlapping regions side by side.

    Every region has an outline of its colour, so that those within others are seen. Errors: missed by a region is
    blue, invented red, both (by different regions) yellow. Of a volume the slice with most foreground is shown.

    Args:
        image: (C, *S), raw intensities.
        reference: (*S) classes, 255 = ignore.
        prediction: (R, *S) bool, the mask of each region.
        regions: the classes of each region, by name.
        title: above the panels.
        each_channel: show each channel: they are no colours, but modalities.
    """
    true = region_masks(reference, regions)
    scored = reference != IGNORE
    if reference.ndim == 3:
        depth = int(np.argmax(true.any(axis=0).sum(axis=(1, 2))))
        image, true, prediction, scored = image[:, depth], true[:, depth], prediction[:, depth], scored[depth]
    grey = display(image[:1] if each_channel else image)
    missed, invented = (true & ~prediction & scored).any(axis=0), (prediction & ~true & scored).any(axis=0)
    errors = np.repeat(grey.mean(axis=-1, keepdims=True), 3, axis=-1) * 0.55
    for where, colour in (
        (missed & ~invented, MISSED), (invented & ~missed, INVENTED), (missed & invented, CONFUSED),
    ):  # fmt: skip
        errors[where] = 0.25 * errors[where] + 0.75 * colour
    panels = [
        *(_channel_panels(image) if each_channel else [("image", grey)]),
        ("reference", _outlined(grey, true)),
        ("prediction", _outlined(grey, prediction)),
        ("errors: blue missed, red invented, yellow both", errors),
    ]
    return _side_by_side(panels, title, {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(regions)})


def _channel_panels(image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """A panel for each channel of an image (C, H, W)."""
    if len(image) == 1:
        return [("image", display(image))]
    return [(f"channel {number}", display(channel[None])) for number, channel in enumerate(image)]


def _outlined(grey: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The image with the outline of each mask (R, H, W) in its colour, and a breath of it inside."""
    shown = grey.astype(np.float32)
    for number, mask in enumerate(masks):
        colour = PALETTE[number % len(PALETTE)]
        shown[mask] = 0.85 * shown[mask] + 0.15 * colour
        shown[mask & ~binary_erosion(mask, border_value=1)] = colour
    return shown


def write_curves(metrics: Path, picture: Path, criterion: Criterion) -> None:
    """Draw the loss, the validation score and the learning rate of `metrics.csv` over the steps."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    table = pd.read_csv(metrics)
    names = [str(name) for name in table.columns]
    steps = table["step"].to_numpy()
    scores = [f"validation/{criterion.key}", *(f"validation/{metric}" for metric in criterion.metrics)]
    scores = [name for name in names if name in scores or name.startswith(tuple(f"{score}/" for score in scores))]
    wanted = (
        [name for name in names if name.startswith("train/loss")],
        scores[1:] if len(scores) == 2 else scores,  # the mean of a single class is its own score
        [name for name in names if name == "lr"],
    )
    canvas = _canvas()
    for axis, panel, columns in zip(canvas.figure.axes, _PANELS, wanted, strict=True):
        for drawn in (*axis.lines, *filter(None, [axis.get_legend()])):
            drawn.remove()
        axis.set_prop_cycle(None)
        if panel == "validation":
            axis.set_title(f"validation {criterion.label}", y=1.02)
        positive = bool(columns) and bool(np.nanmin(table[columns].to_numpy(), initial=np.inf) > 0)
        scale = "log" if positive and panel != "validation" else "linear"
        axis.set_yscale(scale)
        if scale == "log":
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_locator(NullLocator())
        else:
            axis.yaxis.set_major_locator(MaxNLocator(_TICKS))
        for column in columns:
            values = table[column].to_numpy()
            there = ~np.isnan(values)
            marker = "." if there.sum() < 30 else None
            axis.plot(steps[there], values[there], label=column.partition("/")[2] or column, marker=marker)
        axis.relim()
        axis.autoscale()
        if len(columns) > 1:
            axis.legend(fontsize=8, loc="lower right" if panel == "validation" else "upper right")
    canvas.draw()  # type: ignore[no-untyped-call]
    write_picture(picture, np.asarray(canvas.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write RGB pixels (H, W, 3) uint8 as PNG.

    Rows as differences to the row above, hardly packed: a quarter larger than the smallest, in a quarter of the time.
    """
    pixels = np.ascontiguousarray(pixels)
    write_atomically(path, bytes(imagecodecs.png_encode(pixels, level=1, filter=imagecodecs.PNG.FILTER.UP)))


@cache
def _canvas() -> FigureCanvasAgg:
    """The panels without their curves: one for all runs of a sweep, since to make it takes as long as to draw.

    Margins and places of labels are fixed: to find them takes Matplotlib twice as long again.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(13, 3.6), dpi=110)
    figure.subplots_adjust(left=0.05, right=0.99, top=0.89, bottom=0.15, wspace=0.18)
    for axis, title in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        axis.set_title(title, y=1.02)
        axis.set_xlabel("step")
        axis.xaxis.set_label_coords(0.5, -0.11)
        axis.yaxis.set_label_coords(-0.2, 0.5)
        axis.xaxis.set_major_locator(MaxNLocator(_TICKS, integer=True, min_n_ticks=1))
        axis.tick_params(bottom=False, left=False)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    return FigureCanvasAgg(figure)


def _foreground(label: np.ndarray, background: int | None) -> np.ndarray:
    return np.asarray((label != IGNORE) & (label != (-1 if background is None else background)))


def display(image: np.ndarray) -> np.ndarray:
    """(C, H, W) as RGB (H, W, 3) in 0..255, its brightest and darkest half per cent clipped."""
    shown = image[:3] if len(image) == 3 else image[:1]
    low, high = np.percentile(shown, (0.5, 99.5))
    scaled = (shown.astype(np.float32) - low) / max(float(high - low), 1e-6)
    pixels = np.moveaxis(np.clip(scaled, 0, 1) * 255, 0, -1)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _coloured(grey: np.ndarray, label: np.ndarray, background: int | None) -> np.ndarray:
    """Class colours over the image; ignored pixels are dark."""
    shine, tint = _colours(background)
    return np.asarray(grey * shine[label][..., None] + tint[label])


@cache
def _colours(background: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The share of the image that shines through each class, and the colour that is added."""
    classes = np.arange(IGNORE + 1)
    foreground = _foreground(classes, background)
    shine = np.where(foreground, 0.45, np.where(classes == IGNORE, 0.4, 1)).astype(np.float32)
    colour = _class_colour(classes, background)
    return shine, np.where(foreground[:, None], np.float32(0.55) * colour, np.float32(0))


def _class_colour(classes: np.ndarray | int, background: int | None) -> np.ndarray:
    return np.asarray(PALETTE[(classes - (0 if background is None else 1)) % len(PALETTE)])


def error_colours(
    grey: np.ndarray, reference: np.ndarray, prediction: np.ndarray, background: int | None
) -> np.ndarray:
    """A pale image (H, W, 3) with the errors of (H, W): blue missed, red invented, yellow of the wrong class."""
    pale = np.repeat(grey.mean(axis=-1, keepdims=True), 3, axis=-1) * 0.55
    scored = reference != IGNORE
    true, found = _foreground(reference, background), _foreground(prediction, background)
    wrong = scored & (reference != prediction)
    for where, colour in (
        (wrong & true & ~found, MISSED), (wrong & ~true & found, INVENTED), (wrong & true & found, CONFUSED),
    ):  # fmt: skip
        pale[where] = 0.25 * pale[where] + 0.75 * colour
    return pale


_font = cache(ImageFont.load_default)


def _side_by_side(panels: list[tuple[str, np.ndarray]], title: str, colours: Mapping[str, np.ndarray]) -> Image.Image:
    """The panels (name, pixels) with their names above, and below them the meaning of the colours, if several."""
    height, width = panels[0][1].shape[:2]
    zoom = max(_SMALLEST / max(height, width), 1.0) if max(height, width) <= _LARGEST else _LARGEST / max(height, width)
    size = (round(width * zoom), round(height * zoom))
    font = _font(13)
    across = len(panels) * (size[0] + _GAP) + _GAP
    bottom = size[1] + 2 * _HEADER + _GAP
    entries, lines = _legend(colours, across, font) if len(colours) > 1 else ([], 0)
    canvas = Image.new("RGB", (across, bottom + lines * _LINE), "white")
    draw = ImageDraw.Draw(canvas)
    for name, colour, left, line in entries:
        top = bottom + line * _LINE
        draw.rectangle((left, top + 3, left + _SQUARE, top + 3 + _SQUARE), fill=colour, outline=(90, 90, 90))
        draw.text((left + _SQUARE + _GAP, top + 1), name, fill="black", font=font)
    draw.text((_GAP, 5), title, fill="black", font=font)
    for number, (name, pixels) in enumerate(panels):
        left = _GAP + number * (size[0] + _GAP)
        fitting = _font(min(13, max(8, int(13 * size[0] / max(font.getlength(name), 1)))))
        draw.text((left, _HEADER + 5), name, fill=(90, 90, 90), font=fitting)
        picture = Image.fromarray(pixels.astype(np.uint8)).resize(
            size, Image.Resampling.NEAREST if zoom > 1 else Image.Resampling.BILINEAR
        )
        canvas.paste(picture, (left, 2 * _HEADER))
    return canvas


def _legend(
    colours: Mapping[str, np.ndarray], across: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> tuple[list[tuple[str, tuple[int, ...], int, int]], int]:
    """Name, colour, left edge and line of each entry of a legend, and how many lines there are."""
    entries, left, line = [], _GAP, 0
    for name, colour in colours.items():
        width = _SQUARE + 4 * _GAP + int(font.getlength(name))
        if left > _GAP and left + width > across:
            left, line = _GAP, line + 1
        entries.append((name, tuple(int(part) for part in colour), left, line))
        left += width
    return entries, line + 1
