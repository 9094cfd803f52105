"""Stray parts and holes."""

import numpy as np
import pytest
import torch
from skimage import measure

from segbench.decoders.argmax import Argmax
from segbench.decoders.cleaned import Cleaned
from segbench.errors import UserError

LABEL = np.array(
    [[1, 1, 1, 0, 0, 2], [1, 0, 1, 0, 0, 2], [1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 2, 0], [2, 2, 2, 0, 0, 0]], np.uint8
)


def clean(label, **choices):
    logits = torch.eye(4)[torch.from_numpy(label.astype(int))].movedim(-1, 0)
    return Cleaned(**choices).label({"mask": logits}, torch.zeros(1, *label.shape))


def test_holes_are_filled():
    expected = LABEL.copy()
    expected[1, 1] = 1
    np.testing.assert_array_equal(clean(LABEL), expected)
    other = LABEL.copy()
    other[1, 1] = 2
    np.testing.assert_array_equal(clean(other), other)  # another class is no hole


def test_the_largest_region_of_each_class_is_kept():
    expected = LABEL.copy()
    expected[2, 4] = expected[3, 4] = 0
    expected[:2, 5] = 0
    np.testing.assert_array_equal(clean(LABEL, largest=True, fill_holes=False), expected)


def test_a_stray_part_of_another_class_leaves_no_hole():
    """Whichever class has the lower number."""
    inner = np.zeros((9, 9), np.uint8)
    inner[1:8, 1:8] = 1
    expected = inner.copy()
    inner[4, 4] = 2
    for first, second in ((1, 2), (2, 1)):
        table = np.array([0, first, second], np.uint8)
        np.testing.assert_array_equal(clean(table[inner], smallest=4), table[expected])
        without = np.where(inner == 2, 0, inner)
        np.testing.assert_array_equal(clean(table[inner], smallest=4, fill_holes=False), table[without])


@pytest.mark.parametrize("shape", [(30, 31), (9, 10, 11)])
def test_small_regions_go_as_in_scikit_image(shape):
    label = (np.random.default_rng(0).random(shape) < 0.45).astype(np.uint8)
    regions = measure.label(label, connectivity=1)
    large = [region.label for region in measure.regionprops(regions) if region.area >= 5]
    expected = np.isin(regions, large)
    assert 0 < expected.sum() < label.sum()
    np.testing.assert_array_equal(clean(label, smallest=5, fill_holes=False), expected)


def test_nothing_asked_nothing_done():
    np.testing.assert_array_equal(clean(LABEL, fill_holes=False), LABEL)
    cleaned, plain = Cleaned(minimum_size=2, background=0), Argmax(minimum_size=2, background=0)
    np.testing.assert_array_equal(cleaned.instances({}, LABEL), plain.instances({}, LABEL))


def test_a_background_is_needed():
    with pytest.raises(UserError, match="no background class"):
        Cleaned(background=None)
