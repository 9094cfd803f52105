"""Scores of thin structures and of boundaries."""

import itertools
import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance
from scipy import ndimage
from sklearn.metrics import fbeta_score, matthews_corrcoef

from segbench.metrics.boundary_region import boundary_iou
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.overlap import dice, f_beta, mcc
from segbench.metrics.skeleton import centreline_dice
from segbench.metrics.surface import masd


def masks(shape, seed):
    rng = np.random.default_rng(seed)
    field, noise = (ndimage.gaussian_filter(rng.standard_normal(shape), 1.5) for _ in range(2))
    return field + 0.5 * noise > 0.02, field > 0.02


def pair_of(predicted, true, spacing=None, ignored=None):
    return MaskPair(predicted, true, spacing or (1.0,) * predicted.ndim, ignored)


@pytest.mark.parametrize("shape", [(30, 40), (9, 12, 15)])
def test_pixels_against_scikit_learn(shape):
    predicted, true = masks(shape, 3)
    ignored = np.random.default_rng(1).random(shape) < 0.1
    pair = pair_of(predicted, true, ignored=ignored)
    ours, theirs = predicted[~ignored], true[~ignored]
    assert mcc(pair) == pytest.approx(matthews_corrcoef(theirs, ours))
    assert f_beta(pair, 1) == pytest.approx(dice(pair))
    for beta in (0.5, 2.0):
        assert f_beta(pair, beta) == pytest.approx(fbeta_score(theirs, ours, beta=beta))


def test_correlation_at_its_ends():
    full, left = np.ones((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :3] = True
    assert mcc(pair_of(left, left)) == pytest.approx(1.0)
    assert mcc(pair_of(left, ~left)) == pytest.approx(-1.0)
    assert mcc(pair_of(full, left)) == 0.0
    assert mcc(pair_of(full, full)) == 1.0
    assert mcc(pair_of(full & False, left)) == 0.0
    assert math.isnan(mcc(pair_of(full & False, full & False)))


def test_a_broken_line_costs_its_length():
    true = np.zeros((9, 20), bool)
    true[4, 2:18] = True
    broken = true.copy()
    broken[4, 8:12] = False
    assert centreline_dice(pair_of(broken, true)) == pytest.approx(2 * 1 * 0.75 / 1.75)
    thick = np.zeros_like(true)
    thick[3:6, 2:18] = True  # found whole: thickness costs nothing, but for the last pixel of its skeleton
    assert centreline_dice(pair_of(thick, true)) > 0.93
    assert dice(pair_of(thick, true)) == 0.5
    assert centreline_dice(pair_of(np.roll(true, 3, axis=0), true)) == 0.0
    tube = np.zeros((9, 9, 20), bool)
    tube[3:6, 3:6, 2:18] = True
    assert centreline_dice(pair_of(tube, tube)) == 1.0


@pytest.mark.parametrize(("shape", "spacing"), [((14, 17), (1.0, 1.0)), ((12, 15), (2.0, 0.5)), ((6, 8, 9), (1, 1, 2))])
@pytest.mark.parametrize("width", [0.02, 0.15, 1.0])
def test_boundary_iou_by_brute_force(shape, spacing, width):
    predicted, true = masks(shape, 4)
    limit = max(width * math.hypot(*np.multiply(shape, spacing)), max(spacing)) + 1e-9

    def near_the_edge(mask):
        outside = np.argwhere(~np.pad(mask, 1)) - 1
        found = np.zeros_like(mask)
        for place in itertools.product(*map(range, shape)):
            if mask[place]:
                found[place] = np.linalg.norm((outside - place) * spacing, axis=1).min() <= limit
        return found

    a, b = near_the_edge(predicted), near_the_edge(true)
    assert boundary_iou(pair_of(predicted, true, spacing), width) == pytest.approx((a & b).sum() / (a | b).sum())


def test_boundary_iou_sees_what_the_area_hides():
    true = np.zeros((100, 100), bool)
    true[10:90, 10:90] = True
    smaller = ndimage.binary_erosion(true, iterations=2)
    assert boundary_iou(pair_of(true, true)) == 1.0
    assert boundary_iou(pair_of(smaller, true)) < 0.25 < 0.9 < dice(pair_of(smaller, true))
    ignored = true ^ smaller  # what lies there is not known, and no edge is
    assert boundary_iou(pair_of(smaller, true, ignored=ignored)) == pytest.approx(1.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 3.0)])
def test_mean_average_surface_distance_is_that_of_monai(spacing):
    predicted, true = masks((30, 40), 6)
    both = [torch.from_numpy(mask)[None, None].float() for mask in (predicted, true)]
    directed = [
        float(compute_average_surface_distance(a, b, include_background=True, spacing=spacing))
        for a, b in (both, both[::-1])
    ]
    assert masd(pair_of(predicted, true, spacing)) == pytest.approx(sum(directed) / 2, rel=1e-5)
