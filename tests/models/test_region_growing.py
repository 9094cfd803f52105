"""Region growing against scikit-image's flood, and where the regions of a watershed end."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, measure, segmentation

from segbench.models.region_growing import RegionGrowing, Watershed, grow
from segbench.models.thresholds import Otsu
from tests.models.estimators import cells


@pytest.mark.parametrize("tolerance", [0, 12, 40])
def test_growing_from_one_seed_is_scikit_images_flood(tolerance):
    grey = data.coins()[:80, :100].astype(np.int64)
    seeds = np.zeros(grey.shape, bool)
    seeds[40, 50] = True
    for connectivity in (1, 2):
        structure = ndimage.generate_binary_structure(2, connectivity)
        found = grow(grey, seeds, float(grey[40, 50]), tolerance, structure)
        expected = segmentation.flood(grey, (40, 50), tolerance=tolerance, connectivity=connectivity)
        np.testing.assert_array_equal(found, expected)


def test_growing_is_monotone_and_keeps_its_seeds():
    rng = np.random.default_rng(0)
    grey, seeds = rng.normal(size=(9, 10, 11)), rng.random((9, 10, 11)) < 0.01
    structure = ndimage.generate_binary_structure(3, 1)
    before = grow(grey, seeds, 0.0, 0.0, structure)
    np.testing.assert_array_equal(before, seeds)
    for tolerance in (0.2, 0.5, 1.0, 9.0):
        after = grow(grey, seeds, 0.0, tolerance, structure)
        assert (after >= before).all()
        before = after
    assert before.all()


def test_what_no_seed_grows_to_is_a_region_of_its_own():
    grey = np.concatenate([np.zeros(40), np.full(3, 5.0), np.full(40, 10.0)]).astype(np.float32)[None].repeat(30, 0)
    growing = RegionGrowing(2, 1, {"mask": 2}, tolerance=1.0)
    seeds = growing.seeds(grey)
    regions = growing.regions(grey)
    assert (regions[:, 10] == 0).all()
    assert (regions[:, -10] == 1).all()
    assert (regions[:, 41] == 2).all() or (seeds[:, 41] > 0).any()


def test_watershed_ends_at_the_edge_where_otsu_does_not():
    """A blurred edge on a slope: the gradient is steepest at the edge, the threshold is where it is not."""
    x = np.arange(90)
    line = np.clip((x - 30) / 60, 0, None) * 8 + 3 / (1 + np.exp(-(x - 30.5)))
    grey = np.broadcast_to(line, (60, 90)).astype(np.float32)
    watershed, otsu = (
        int((model.regions(grey) == 0)[30].sum())
        for model in (Watershed(2, 1, {"mask": 2}, seeds="sure"), Otsu(2, 1, {"mask": 2}))
    )
    assert abs(watershed - 31) <= 1
    assert abs(otsu - 31) > 5


def test_objects_of_the_watershed_are_as_many_as_markers():
    grey = cells((48, 48)).image[0]
    labels = measure.label(Watershed(2, 1, {"mask": 3}).regions(grey) + 1)
    assert labels.max() == 3
