"""Seeds: inside the region that they stand for."""

import numpy as np
import pytest

from segbench.models.seeds import Seeds
from segbench.models.thresholds import otsu_thresholds
from tests.models.estimators import cells


@pytest.mark.parametrize("rule", ["core", "peak", "sure"])
def test_seeds_lie_in_their_region(rule):
    grey = cells((48, 48)).image[0]
    markers = Seeds(3, rule, 3.0, 0.3)(grey)
    regions = np.digitize(grey, otsu_thresholds(grey, 3), right=True)
    assert set(np.unique(markers)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(markers[markers > 0] - 1, regions[markers > 0])


def test_core_seeds_are_deep_inside():
    grey = np.zeros((20, 20), np.float32)
    grey[:, 10:] = 1
    markers = Seeds(2, "core", 4.0, 0.3)(grey)
    np.testing.assert_array_equal(markers, np.broadcast_to(np.repeat([1, 0, 2], [7, 6, 7]), (20, 20)))
