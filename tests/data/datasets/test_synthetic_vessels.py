"""Vessels drawn by code: the same everywhere, thin and branching, and not solved by a threshold."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import skeletonize

from segbench.data.case import IGNORE, Case
from segbench.data.datasets.synthetic_vessels import SyntheticVessels
from segbench.errors import UserError


@pytest.fixture(scope="module")
def dataset() -> SyntheticVessels:
    return SyntheticVessels(cases=5, size=[224, 256], seed=0)


def test_the_field_of_view_is_a_disk(cases: list[Case]) -> None:
    rows, columns = np.indices((224, 256))
    disk = np.hypot(rows - 112, columns - 128) < 0.47 * 224
    for case in cases:
        np.testing.assert_array_equal(case.label != IGNORE, disk)
        outside = ~ndimage.binary_dilation(disk, iterations=5)
        assert case.image[:, outside].mean() < 10


def test_vessels_are_thin_and_branch(cases: list[Case]) -> None:
    for case in cases:
        vessel = case.label == 1
        assert 0.03 < vessel.sum() / (case.label != IGNORE).sum() < 0.3
        lines = skeletonize(vessel)
        assert vessel.sum() / lines.sum() < 8  # mean width in pixels
        neighbours = ndimage.convolve(lines.astype(int), np.ones((3, 3), int)) - 1
        assert (lines & (neighbours > 2)).sum() >= 5  # where lines meet
        assert ndimage.label(vessel, np.ones((3, 3)))[1] <= 8


def test_vessels_are_darker_but_no_threshold_finds_them(cases: list[Case]) -> None:
    scores = []
    for case in cases:
        inside, vessel, green = case.label != IGNORE, case.label == 1, case.image[1]
        assert green[vessel].mean() < green[inside & ~vessel].mean() - 5
        found = inside & (green < threshold_otsu(green[inside]))
        scores.append(2 * (found & vessel).sum() / (found.sum() + vessel.sum()))
    assert 0.1 < np.mean(scores) < 0.7


def test_bad_values() -> None:
    with pytest.raises(UserError, match=r"cases=0, seed=0, size=\[256, 256\]"):
        SyntheticVessels(0, [256, 256], 0)
    with pytest.raises(UserError, match="two lengths of at least 64"):
        SyntheticVessels(1, [256, 40], 0)
