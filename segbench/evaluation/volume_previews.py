"""Pictures of volumes: the three orthogonal slices through the middle of the largest error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import find_objects, label

from segbench.data.case import IGNORE
from segbench.data.labels.region_classes import RegionClasses, region_masks
from segbench.data.volume_resampling import nearest_pixels
from segbench.evaluation.previews import preview, preview_regions

_AXES = ("z", "y", "x")


def preview_volume(
    image: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    background: int | None,
    title: str,
    classes: Sequence[str],
    spacing: Sequence[float],
) -> Image.Image:
    """Each channel, reference, prediction and errors in three slices, of equal scale along all axes.

    Args:
        image: (C, D, H, W), raw intensities.
        reference: (D, H, W) classes, 255 = ignore.
        prediction: (D, H, W) classes.
        background: the class that is no foreground, or None.
        title: above the panels.
        classes: their names, for a legend.
        spacing: size of a voxel along each axis.
    """
    wrong = np.asarray((reference != prediction) & (reference != IGNORE))
    pictures = []
    foreground = np.asarray(reference != (0 if background is None else background))
    for axis, place in enumerate(error_middle(wrong, foreground)):
        shown, true, found = (_plane(array, axis, place, spacing) for array in (image, reference, prediction))
        text = _title(title, axis, place, image.shape[1:], spacing)
        named = classes if axis == 2 else ()
        pictures.append(preview(shown, true, found, background, text, named, each_channel=True))
    return _stacked(pictures)


def preview_region_volume(
    image: np.ndarray,
    reference: np.ndarray,
    prediction: np.ndarray,
    regions: RegionClasses,
    title: str,
    spacing: Sequence[float],
) -> Image.Image:
    """The same of overlapping regions, `prediction` being their masks (R, D, H, W)."""
    true = region_masks(reference, regions)
    wrong = np.asarray(((true != prediction) & (reference != IGNORE)).any(axis=0))
    pictures = []
    for axis, place in enumerate(error_middle(wrong, np.asarray(true.any(axis=0)))):
        shown, known, found = (_plane(array, axis, place, spacing) for array in (image, reference, prediction))
        text = _title(title, axis, place, image.shape[1:], spacing)
        pictures.append(preview_regions(shown, known, found, regions, text, each_channel=True))
    return _stacked(pictures)


def error_middle(wrong: np.ndarray, foreground: np.ndarray) -> tuple[int, ...]:
    """The middle of the largest connected region of errors; of the foreground, where nothing is wrong.

    Args:
        wrong: (D, H, W) bool.
        foreground: (D, H, W) bool.
    """
    regions, count = label(wrong if wrong.any() else foreground)
    if not count:
        return tuple(length // 2 for length in wrong.shape)
    largest = int(np.argmax(np.bincount(regions.reshape(-1))[1:])) + 1
    box = find_objects(regions, largest)[-1]
    places = np.argwhere(regions[box] == largest) + [edge.start for edge in box]
    # Its voxel nearest to its middle, which may lie outside it.
    return tuple(places[np.argmin(np.abs(places - np.median(places, axis=0)).sum(axis=1))].tolist())


def _plane(array: np.ndarray, axis: int, place: int, spacing: Sequence[float]) -> np.ndarray:
    """A slice (.., H, W) whose pixels are squares."""
    plane = array.take(place, array.ndim - 3 + axis)
    edges = [edge for other, edge in enumerate(spacing) if other != axis]
    for offset, edge in enumerate(edges, start=-2):
        length = plane.shape[offset]
        plane = plane.take(nearest_pixels(length, max(1, round(length * edge / min(edges)))), offset)
    return np.asarray(plane)


def _title(title: str, axis: int, place: int, shape: Sequence[int], spacing: Sequence[float]) -> str:
    where = f"slice {place} of {shape[axis]} along {_AXES[axis]}"
    if axis:
        return where
    sizes = " x ".join(map(str, shape)), " x ".join(f"{edge:g}" for edge in spacing)
    return f"{title}; {sizes[0]} voxels of {sizes[1]}; {where}"


def _stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures one below the other."""
    width = max(picture.width for picture in pictures)
    canvas = Image.new("RGB", (width, sum(picture.height for picture in pictures)), "white")
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height
    return canvas
