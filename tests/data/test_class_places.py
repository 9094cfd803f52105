"""Pixels of classes: counted and chosen as in one piece."""

import numpy as np
import pytest

from segbench.data.case_meta import measure_intensities, nonzero_box
from segbench.data.class_places import count_values, some_places


@pytest.mark.parametrize("shape", [(40, 30), (37, 20, 11)])
@pytest.mark.parametrize("most", [50, 10**6])
def test_places_are_those_of_one_piece(shape: tuple[int, ...], most: int) -> None:
    label = np.random.default_rng(0).choice(np.array([0, 1, 3, 255], np.uint8), shape, p=[0.6, 0.3, 0.05, 0.05])
    counts = count_values(label)
    np.testing.assert_array_equal(counts, np.bincount(label.ravel(), minlength=256))
    found = some_places(label, counts[:4], most)
    for value, places in zip((0, 1, 3), found, strict=True):
        every = np.flatnonzero(label == value)
        if len(every) > most:
            every = np.sort(np.random.default_rng(0).choice(every, most, replace=False))
        np.testing.assert_array_equal(places, every)


def test_the_box_of_what_is_not_zero() -> None:
    image = np.zeros((2, 9, 8, 7), np.int16)
    assert nonzero_box(image) == ((0, 9), (0, 8), (0, 7))
    image[0, 3, 2, 5] = -4
    image[1, 6, 1, 5] = 9
    assert nonzero_box(image) == ((3, 7), (1, 3), (5, 6))


@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint16"])
def test_intensities_of_integers_are_those_that_numpy_sorts_for(dtype: str) -> None:
    rng = np.random.default_rng(0)
    volume = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (6, 7, 11), endpoint=True).astype(dtype)
    (found,) = measure_intensities(volume[None])
    expected = np.percentile(volume, np.linspace(0, 100, 33))
    np.testing.assert_allclose(found.quantiles, expected)
    np.testing.assert_allclose(
        (found.mean, found.std, found.minimum, found.maximum, found.percentile_00_5, found.percentile_99_5),
        (volume.mean(), volume.std(), volume.min(), volume.max(), *np.percentile(volume, (0.5, 99.5))),
    )
