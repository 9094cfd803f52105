"""Thresholds: Otsu's as in scikit-image and by their definition, local ones by their formulas."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, filters

from segbench.models.estimator import TrainingCase
from segbench.models.thresholds import AdaptiveThreshold, Otsu, otsu_thresholds
from tests.models.estimators import ball, cells, fitted, predict


@pytest.mark.parametrize("picture", [data.coins, data.camera, data.page])
def test_otsu_thresholds_are_those_of_scikit_image(picture):
    grey = picture().astype(np.float32)
    assert otsu_thresholds(grey, 2) == [filters.threshold_otsu(grey)]
    np.testing.assert_array_equal(otsu_thresholds(grey, 3), filters.threshold_multiotsu(grey, 3))


def test_otsu_between_two_peaks_maximises_the_variance_between_classes():
    peaks = np.repeat([3.0, 8.0], 50).reshape(10, 10)
    (threshold,) = otsu_thresholds(peaks, 2)
    assert 3 <= threshold < 8
    rng = np.random.default_rng(0)
    grey = np.concatenate([rng.normal(0, 1, 700), rng.normal(4, 1.5, 300)])

    def between(t):
        low, high = grey[grey <= t], grey[grey > t]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    (threshold,) = otsu_thresholds(grey, 2)
    candidates = np.linspace(grey.min(), grey.max(), 1000)[1:-1]
    assert between(threshold) >= 0.999 * max(map(between, candidates))


def test_otsu_does_not_depend_on_brightness_and_contrast():
    case = cells((40, 40))
    model = fitted(Otsu, case)
    changed = TrainingCase(case.image * 37 - 5, case.label, case.spacing)
    np.testing.assert_array_equal(predict(model, changed), predict(model, case))


def test_few_intensities_give_fewer_regions():
    assert len(otsu_thresholds(np.array([0.0, 0, 1, 1]), 4)) == 1
    assert len(otsu_thresholds(np.zeros(5), 3)) == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("method", ["mean", "gaussian", "niblack", "sauvola"])
def test_local_thresholds_see_disks_under_uneven_light(method, dark):
    size = (120, 120)
    disks = np.any([ball(size, (y, x), 8) for y in (20, 60, 100) for x in (20, 60, 100)], axis=0)
    image = (np.where(disks, -1, 0) if dark else disks) + np.linspace(0, 6, 120)
    case = TrainingCase(image[None].astype(np.float32), disks.astype(np.uint8), (1.0, 1.0))
    local = fitted(AdaptiveThreshold, case, method=method, window=41, offset=0.4, k=0.1 if method == "sauvola" else 0.8)
    wrong = [np.mean(predict(model, case) != disks) for model in (local, fitted(Otsu, case))]
    assert wrong[0] < 0.08
    assert wrong[1] > 0.1


@pytest.mark.parametrize("method", ["mean", "gaussian", "niblack", "sauvola"])
def test_a_constant_image_has_nothing_bright_or_dark(method):
    regions = AdaptiveThreshold(2, 1, {"mask": 2}, method=method).regions(np.full((30, 30), 5.0, np.float32))
    np.testing.assert_array_equal(regions, 1)


def test_niblack_and_sauvola_by_their_formulas():
    grey = data.coins()[:60, :60].astype(np.float64)
    grey = (grey - grey.min()) * 255 / np.ptp(grey)
    mean = ndimage.uniform_filter(grey, 11, mode="mirror")
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(grey**2, 11, mode="mirror") - mean**2, 0))
    inside = (slice(6, -6),) * 2
    niblack = AdaptiveThreshold(2, 1, {"mask": 2}, method="niblack", window=11, k=0.3).regions(grey)
    np.testing.assert_array_equal((niblack == 0)[inside], (grey < mean - 0.3 * deviation)[inside])
    np.testing.assert_array_equal((niblack == 2)[inside], (grey > mean + 0.3 * deviation)[inside])
    sauvola = AdaptiveThreshold(2, 1, {"mask": 2}, method="sauvola", window=11, k=0.3)
    dark = grey < mean * (1 + 0.3 * (deviation / 128 - 1))
    np.testing.assert_array_equal((sauvola.regions(grey) == 0)[inside], dark[inside])
    np.testing.assert_array_equal((sauvola.regions(-grey) == 2)[inside], dark[inside])
