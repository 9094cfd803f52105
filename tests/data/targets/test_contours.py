"""Contours against scikit-image and brute force."""

import numpy as np
import pytest
from skimage.morphology import ball, dilation, disk
from skimage.segmentation import find_boundaries

from segbench.data.targets.contours import ClassesAndBorder, Contour
from segbench.errors import UserError
from tests.data.targets.samples import cells, sample_of, square


@pytest.mark.parametrize("size", [(48, 56), (16, 20, 18)])
@pytest.mark.parametrize("radius", [0, 1, 3])
def test_contours_are_inner_boundaries_dilated_with_a_ball(size: tuple[int, ...], radius: int) -> None:
    instances = cells(size)
    found = Contour(radius=radius)(sample_of(instances))
    assert found.dtype == np.int64
    rim = find_boundaries(instances, connectivity=1, mode="inner")
    expected = dilation(rim, (disk if len(size) == 2 else ball)(radius))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [(24, 30), (10, 12, 11)])
def test_touching_borders_are_where_two_objects_meet(size: tuple[int, ...]) -> None:
    """By brute force: two different objects among a pixel and its neighbours."""
    instances = cells(size, 8)
    found = Contour(radius=0, touching=True)(sample_of(instances))
    for place in np.ndindex(size):
        window = instances[tuple(slice(max(0, k - 1), k + 2) for k in place)]
        assert found[place] == (len(set(window[window > 0].tolist())) > 1)


def test_an_object_alone_touches_nothing() -> None:
    assert not Contour(touching=True)(sample_of(square())).any()


def test_ignored_pixels_are_ignored() -> None:
    instances = square()
    label = (instances > 0).astype(np.uint8)
    label[:, :4] = 255
    for target in (Contour(), ClassesAndBorder(2)):
        np.testing.assert_array_equal(target(sample_of(instances, label)) == 255, label == 255)


def test_inside_border_and_background() -> None:
    """A 7 x 7 square: 25 pixels inside, 24 of its rim, and with a radius of 1 the same on both sides."""
    found = ClassesAndBorder(classes=2)(sample_of(square()))
    assert np.bincount(found.ravel()).tolist() == [143 - 49, 25, 24]
    assert np.bincount(ClassesAndBorder(2, radius=1)(sample_of(square())).ravel()).tolist() == [143 - 49 - 28, 9, 68]


def test_other_classes_stay_below_the_border() -> None:
    instances = square()
    label = np.where(instances > 0, 3, 1).astype(np.uint8)
    found = ClassesAndBorder(classes=4)(sample_of(instances, label))
    assert set(np.unique(found)) == {1, 3, 4}
    np.testing.assert_array_equal(found[found < 4], label[found < 4])


def test_no_object_and_no_border_between_an_object_and_the_edge_of_the_image() -> None:
    nothing = np.zeros((9, 9), np.int32)
    everything = np.full((9, 9), 5, np.int32)
    for instances in (nothing, everything):
        for touching in (False, True):
            assert not Contour(touching=touching)(sample_of(instances)).any()


@pytest.mark.parametrize("target", [Contour(), ClassesAndBorder(2)])
def test_without_objects_there_is_nothing_to_learn(target: Contour) -> None:
    with pytest.raises(UserError, match=r"task: \w+ are made from objects, and this data set has none; data=dsb2018"):
        target(sample_of(None, np.zeros((4, 4), np.uint8)))


def test_a_radius_below_0() -> None:
    with pytest.raises(UserError, match="radius=-1: must be at least 0"):
        Contour(radius=-1)
