"""Maps of objects made cleaner: neighbours agree, holes are filled, specks go."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes, find_objects


def cleaned(
    objects: np.ndarray, allowed: np.ndarray, *, majority: int = 0, fill_holes: bool = False, minimum_size: int = 0
) -> np.ndarray:
    """The objects (*S) int32 that are left, numbered from 1 without gaps.

    Args:
        objects: (*S), 0 = background.
        allowed: (*S) bool, where objects may be after holes are filled and neighbours agree.
        majority: the side of the window, in pixels, whose most frequent number each pixel gets; 0: none.
        fill_holes: background that an object encloses becomes that object.
        minimum_size: smaller objects, in pixels, become background.
    """
    if majority:
        objects = np.where(allowed, most_frequent(objects, majority), 0)
    if fill_holes:
        objects = filled(objects)
    sizes = np.bincount(objects.ravel())
    kept = sizes >= max(minimum_size, 1)
    kept[0] = False
    return np.asarray(np.where(kept, np.cumsum(kept), 0).astype(np.int32)[objects])


def filled(objects: np.ndarray) -> np.ndarray:
    """The objects with the background that each encloses."""
    result = objects.copy()
    for number, box in enumerate(find_objects(objects), start=1):
        if box is not None:
            holes = binary_fill_holes(objects[box] == number) & (result[box] == 0)
            result[box][holes] = number
    return result


def most_frequent(objects: np.ndarray, size: int) -> np.ndarray:
    """The most frequent number in the window around each pixel; of several that are, the smallest.

    Windows at the border have the outermost pixels repeated.

    Args:
        objects: (*S).
        size: of the window along each axis, odd.
    """
    padded = np.pad(objects, size // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size,) * objects.ndim)
    values = np.sort(windows.reshape(*objects.shape, -1), axis=-1)
    run = np.ones(values.shape, np.int16)
    for place in range(1, values.shape[-1]):
        run[..., place] = np.where(values[..., place] == values[..., place - 1], run[..., place - 1] + 1, 1)
    return np.asarray(np.take_along_axis(values, run.argmax(axis=-1)[..., None], axis=-1)[..., 0])
