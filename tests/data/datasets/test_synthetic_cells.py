"""The embedded data set: the same everywhere, as described, and not solved by a threshold."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu

from segbench.data.case import Case
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.errors import UserError


@pytest.fixture(scope="module")
def dataset() -> SyntheticCells:
    return SyntheticCells(cases=6, size=[192, 224], seed=0)


def test_every_instance_is_one_piece_of_one_class(cases: list[Case]) -> None:
    for case in cases:
        assert case.instances is not None
        assert case.label is not None
        np.testing.assert_array_equal(case.instances > 0, case.label > 0)
        numbers = np.unique(case.instances)
        np.testing.assert_array_equal(numbers, np.arange(len(numbers)))
        for number in numbers[1:]:
            mask = case.instances == number
            assert ndimage.label(mask)[1] == 1
            assert len(np.unique(case.label[mask])) == 1


def test_cells_touch_and_one_class_is_rare(cases: list[Case]) -> None:
    pieces = sum(ndimage.label(case.label)[1] for case in cases)
    instances = sum(int(case.instances.max()) for case in cases if case.instances is not None)
    assert instances > 1.5 * pieces
    shares = np.mean([np.bincount(case.label.ravel(), minlength=4) / case.label.size for case in cases], axis=0)
    assert (shares > 0.005).all()
    assert shares[3] < 0.05 < shares[2] < shares[1] < 0.5 < shares[0]


def test_a_threshold_does_badly(cases: list[Case]) -> None:
    scores = []
    for case in cases:
        predicted, reference = case.image[0] > threshold_otsu(case.image), case.label > 0
        scores.append(2 * (predicted & reference).sum() / (predicted.sum() + reference.sum()))
    assert np.mean(scores) < 0.75


def test_brightness_does_not_tell_the_classes_apart(cases: list[Case]) -> None:
    image, label = (np.stack([one(case) for case in cases]) for one in (lambda c: c.image[0], lambda c: c.label))
    pixels = [image[label == value] for value in (1, 2, 3)]
    assert np.ptp([one.mean() for one in pixels]) < min(one.std() for one in pixels)


def test_impossible_size() -> None:
    with pytest.raises(UserError, match=r"size=\[16, 16\]"):
        SyntheticCells(cases=1, size=[16, 16], seed=0)
