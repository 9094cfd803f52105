"""The montage of a volume: which slices, how large, and the errors in their colours."""

import numpy as np
import pytest

from segbench.evaluation.montage import montage, shown_slices
from segbench.evaluation.previews import MISSED


def volume(*filled: int, depth: int = 40) -> np.ndarray:
    found = np.zeros((depth, 8, 10), np.uint8)
    found[list(filled), 2:6, 3:7] = 1
    return found


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        (volume(5, 6, 7), volume(6), [5, 6, 7]),
        (volume(5), volume(8), [5, 6, 7, 8]),
        (volume(*range(10, 39)), volume(), list(range(10, 39, 2))),
        (volume(depth=3), volume(depth=3), [0, 1, 2]),
    ],
)
def test_slices_reach_through_the_foreground(reference, prediction, expected):
    assert shown_slices(reference, prediction, 0) == expected


def test_pixels_are_squares_and_errors_are_coloured():
    reference = volume(5, 6)
    image = np.random.default_rng(0).integers(0, 99, (1, *reference.shape)).astype(np.int16)
    pixels = np.asarray(montage(image, reference, volume(5), 0, "median: case a", (3.0, 2.0, 1.0)))
    assert pixels.shape == (320 + 18 + 6 + 2 * 18 + 6, 5 * 206 + 6, 3)  # 8 x 10 voxels of 2 x 1 mm, 200 pixels wide
    blue = (pixels[..., 2] > 150) & (pixels[..., 0] < 100)
    assert blue[:, 206:412].mean() > 0.1  # the second slice is missed
    assert not blue[42:, :206].any()
    assert MISSED[2] > MISSED[0]


def test_no_foreground_and_no_background():
    empty = volume(depth=4)
    picture = montage(np.zeros((2, *empty.shape), np.float32), empty, empty, None, "", (1.0, 1.0, 1.0))
    assert picture.width == 5 * 206 + 6
