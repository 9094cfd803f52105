import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy import ndimage
from scipy.spatial.distance import cdist

from segbench.errors import UserError
from segbench.metrics import surface
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.surface import assd, hd, hd95, normalised_surface_dice

SPACINGS = [(1.0, 1.0), (0.5, 2.0), (3.0, 1.0, 1.0), (0.7, 0.9, 5.0)]


def smooth_masks(ndim, seed):
    """Two masks with a surface that is partly shared, partly near and partly far."""
    rng = np.random.default_rng(seed)
    shape = (14, 17, 12)[:ndim] if ndim == 3 else (40, 33)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    other = field + 0.5 * ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    return other > other.std(), field > field.std()


def directed_distances(predicted, true, spacing):
    """Every distance from every surface pixel to every other: as slow and as plain as can be."""
    points = [
        np.argwhere(mask & ~ndimage.binary_erosion(mask, border_value=0)) * np.asarray(spacing)
        for mask in (predicted, true)
    ]
    table = cdist(*points)
    return table.min(axis=1), table.min(axis=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spacing", SPACINGS)
def test_distances_by_brute_force(spacing, seed):
    masks = smooth_masks(len(spacing), seed)
    forth, back = directed_distances(*masks, spacing)
    pair = MaskPair(*masks, spacing)

    for found, expected in zip(pair.surface_distances, (forth, back), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    both = np.concatenate([forth, back])
    assert hd(pair) == pytest.approx(both.max())
    assert hd95(pair) == pytest.approx(max(np.percentile(forth, 95), np.percentile(back, 95)))
    assert hd95(pair, mode="pooled") == pytest.approx(np.percentile(both, 95))
    assert assd(pair) == pytest.approx(both.mean())
    assert normalised_surface_dice(pair, 1.3) == pytest.approx(np.mean(both <= 1.3))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_distances_of_scattered_pixels_by_brute_force(spacing):
    rng = np.random.default_rng(1)
    shape = (11, 9, 8)[: len(spacing)]
    predicted, true = rng.random(shape) < 0.05, rng.random(shape) < 0.6
    expected = directed_distances(predicted, true, spacing)
    for found, right in zip(MaskPair(predicted, true, spacing).surface_distances, expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spacing", SPACINGS)
def test_agrees_with_monai(spacing):
    masks = smooth_masks(len(spacing), seed=5)
    pair = MaskPair(*masks, spacing)
    predicted, true = (torch.from_numpy(mask)[None, None].float() for mask in masks)
    options = {"include_background": True, "spacing": spacing}

    expected = {
        "hd": compute_hausdorff_distance(predicted, true, **options),
        "hd95": compute_hausdorff_distance(predicted, true, percentile=95, **options),
        "assd": compute_average_surface_distance(predicted, true, symmetric=True, **options),
        "nsd": compute_surface_dice(predicted, true, class_thresholds=[2.0], **options),
    }
    found = {
        "hd": hd(pair),
        "hd95": hd95(pair),
        "assd": assd(pair),
        "nsd": normalised_surface_dice(pair, 2.0),
    }
    assert found == pytest.approx({name: value.item() for name, value in expected.items()}, abs=1e-5)


def test_border_of_the_image_is_surface():
    everything = np.ones((5, 6), dtype=bool)
    assert MaskPair(everything, everything, (1, 1)).n_surface == (18, 18)


def test_a_distance_that_equals_the_tolerance_is_within():
    predicted, true = np.zeros((2, 1, 9), dtype=bool)
    predicted[0, 1], true[0, 4] = True, True
    pair = MaskPair(predicted, true, (0.1, 0.1))  # in floating point, 3 * 0.1 > 0.3
    assert normalised_surface_dice(pair, 0.3) == 1
    assert normalised_surface_dice(pair, 0.29) == 0


def test_unknown_mode():
    mask = np.ones((3, 3), dtype=bool)
    with pytest.raises(ValueError, match='"max" or "pooled"'):
        hd95(MaskPair(mask, mask, (1, 1)), mode="mean")


@pytest.mark.parametrize("metric", [hd, hd95, assd, lambda pair: normalised_surface_dice(pair, 2.0)])
def test_absent_class_has_no_score(metric):
    nothing = np.zeros((5, 5), dtype=bool)
    assert math.isnan(metric(MaskPair(nothing, nothing, (1, 1))))


@pytest.mark.parametrize("metric", [hd, hd95, lambda pair: hd95(pair, mode="pooled"), assd])
@pytest.mark.parametrize("missed", [True, False])
@pytest.mark.parametrize(("distance", "expected"), [("diagonal", math.hypot(5 * 3, 4 * 7)), (100, 100.0)])
def test_one_empty_mask_is_as_far_as_configured(metric, missed, distance, expected):
    nothing, something = np.zeros((5, 4), dtype=bool), np.eye(5, 4, dtype=bool)
    masks = (nothing, something) if missed else (something, nothing)
    assert metric(MaskPair(*masks, (3, 7), empty_distance=distance)) == pytest.approx(expected)


@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_mask_is_never_within_the_tolerance(missed):
    nothing, something = np.zeros((5, 4), dtype=bool), np.eye(5, 4, dtype=bool)
    masks = (nothing, something) if missed else (something, nothing)
    assert normalised_surface_dice(MaskPair(*masks, (1, 1)), tolerance=1000.0) == 0


def test_diagonal_exceeds_every_distance():
    predicted, true = np.zeros((2, 6, 8), dtype=bool)
    predicted[0, 0], true[-1, -1] = True, True
    pair = MaskPair(predicted, true, (2, 3))
    assert hd(pair) < pair.empty_distance


def test_ignored_pixels_make_no_surface():
    """A volume of which only one section is labelled has the distances of that section."""
    predicted, true = smooth_masks(2, seed=7)
    volume = np.zeros((3, *true.shape), dtype=bool)
    ignored = np.ones_like(volume)
    ignored[1] = False
    volume_prediction = np.stack([predicted] * 3)
    volume[1] = true
    pair = MaskPair(volume_prediction, volume, (5, 1, 1), ignored)
    section = MaskPair(predicted, true, (1, 1))
    assert pair.n_surface == section.n_surface
    for metric in (hd, hd95, assd, lambda pair: normalised_surface_dice(pair, 1.0)):
        assert metric(pair) == pytest.approx(metric(section))


def test_a_mask_without_any_surface_left_has_no_distance():
    ignored = np.ones((3, 3), dtype=bool)
    ignored[1, 1] = False
    everything = np.ones((3, 3), dtype=bool)
    pair = MaskPair(everything, everything, (1, 1), ignored)
    assert (pair.n_pred, pair.n_ref) == (1, 1)
    assert math.isnan(hd(pair))


@given(st.floats(0.01, 3), st.integers(0, 4))
def test_tolerances_in_pixels_do_not_depend_on_the_unit_of_the_spacing(size, pixels):
    masks = np.zeros((2, 12, 9), bool)
    masks[0, 2:8, 2:6] = masks[1, 3:10, 1:6] = True
    spacing = (size, 2 * size)
    scored = normalised_surface_dice(MaskPair(*masks, spacing), pixels, unit="pixels")
    assert scored == normalised_surface_dice(MaskPair(*masks, (1, 2)), pixels)
    nearly = pixels * size * (1 + 1e-9)  # the same in the unit of the spacing, but for rounding
    assert scored == pytest.approx(normalised_surface_dice(MaskPair(*masks, spacing), nearly))


def test_a_tolerance_beyond_the_image_is_said_once(caplog):
    surface._warn_of_tolerance.cache_clear()
    masks = np.zeros((2, 12, 9), bool)
    masks[0, 2, 2] = masks[1, 9, 8] = True
    pair = MaskPair(*masks, (0.0005, 0.0005))
    assert [normalised_surface_dice(pair, 2.0) for _ in range(3)] == [1, 1, 1]
    assert len(caplog.messages) == 1
    assert "is 1 for every prediction; metrics.classes.nsd.unit=pixels" in caplog.text
    assert normalised_surface_dice(pair, 2.0, unit="pixels") == 0
    assert len(caplog.messages) == 1
    with pytest.raises(UserError, match="must be spacing or pixels"):
        normalised_surface_dice(pair, 2.0, unit="mm")
