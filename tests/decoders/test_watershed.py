"""Touching objects are divided at their neck; otherwise objects are connected regions."""

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes
from skimage.measure import label as components

from segbench.decoders.argmax import Argmax
from segbench.decoders.watershed import Watershed, split
from segbench.errors import UserError


def ball(size, centre, radius):
    return sum((line - c) ** 2 for line, c in zip(np.indices(size), centre, strict=True)) <= radius**2


def same_objects(first, second):
    """Whether two maps hold the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.mark.parametrize("size", [(40, 70), (24, 24, 50)])
def test_two_balls_are_divided_at_their_neck(size):
    middle = [length // 2 for length in size[:-1]]
    radius, left, right = (12, 25, 43) if len(size) == 2 else (9, 17, 31)
    label = (ball(size, [*middle, left], radius) | ball(size, [*middle, right], radius)).astype(np.uint8)
    assert Argmax().instances({}, label).max() == 1
    found = Watershed(h=1.0).instances({}, label)
    assert found.dtype == np.int32
    assert set(np.unique(found)) == {0, 1, 2}
    np.testing.assert_array_equal(found > 0, label == 1)
    neck = (left + right) / 2
    place = np.arange(size[-1])
    first = found[(*middle, left)]
    assert place[(found == first).any(axis=tuple(range(len(size) - 1)))].max() <= neck + 1
    assert place[(found == 3 - first).any(axis=tuple(range(len(size) - 1)))].min() >= neck - 1


def test_a_high_h_divides_nothing():
    size = (40, 70)
    label = (ball(size, [20, 25], 12) | ball(size, [20, 43], 12)).astype(np.uint8)
    counts = [Watershed(h=h).instances({}, label).max() for h in (0.5, 1.0, 4.0, 20.0)]
    assert counts[0] == 2
    assert counts[-1] == 1
    assert counts == sorted(counts, reverse=True)


def test_balls_that_do_not_touch_are_connected_regions():
    size = (60, 60)
    label = sum(k * ball(size, c, 6) for k, c in [(1, (10, 10)), (2, (10, 40)), (1, (40, 12)), (2, (45, 45))])
    label = label.astype(np.uint8)
    assert same_objects(Watershed(h=1.0).instances({}, label), Argmax().instances({}, label))


@pytest.mark.parametrize("shape", [(30, 31), (10, 11, 12)])
@pytest.mark.parametrize("connectivity", [1, 2])
def test_random_masks(shape, connectivity):
    """Every region keeps an object of its own, however small; no object spans two regions."""
    mask = np.random.default_rng(0).random(shape) < 0.4
    parts = split(mask, 1.5, connectivity)
    np.testing.assert_array_equal(parts > 0, mask)
    regions = components(mask, connectivity=connectivity)
    pairs = np.unique(np.stack([parts[mask], regions[mask]]), axis=1)
    assert len(np.unique(pairs[0])) == pairs.shape[1]
    assert set(pairs[1]) == set(range(1, regions.max() + 1))


def test_holes_belong_to_the_object_if_wanted_and_other_classes_stay():
    ring = ball((30, 30), (15, 15), 10) & ~ball((30, 30), (15, 15), 4)
    label = ring.astype(np.uint8)
    label[14:17, 14:17] = 2
    filled = Watershed(h=3.0).instances({}, label)
    whole = filled[label == 1].max()
    np.testing.assert_array_equal(binary_fill_holes(ring) & (label != 2), filled == whole)
    assert len(np.unique(filled[label == 2])) == 1
    assert filled[15, 15] not in (0, whole)
    np.testing.assert_array_equal(Watershed(h=3.0, fill_holes=False).instances({}, label) > 0, label > 0)


def test_small_objects_and_background_are_left_out():
    label = np.zeros((30, 40), np.uint8)
    label[ball((30, 40), (15, 12), 8)] = 1
    label[2, 30:33] = 1
    label[20:25, 30:35] = 2
    found = Watershed(minimum_size=4, background=0).instances({}, label)
    np.testing.assert_array_equal(found > 0, (label > 0) & ~((np.indices(label.shape)[0] == 2) & (label == 1)))
    assert set(np.unique(Watershed(minimum_size=4, objects=[2]).instances({}, label))) == {0, 1}
    assert (Watershed(objects=[2]).instances({}, label) > 0).sum() == 25


@pytest.mark.parametrize("value", [0, 1])
def test_images_of_one_class(value):
    label = np.full((6, 7), value, np.uint8)
    np.testing.assert_array_equal(Watershed().instances({}, label), value)


def test_h_must_be_positive():
    with pytest.raises(UserError, match=r"decoder\.h=0"):
        Watershed(h=0)
