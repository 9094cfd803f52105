"""The scores of single challenges, against their definitions written out, other libraries and the golden case."""

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import variation_of_information

from segbench.metrics.challenges import glas_f1, information_score, seg
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.object_matching import InstancePair
from segbench.metrics.overlap import dice, pass_at, pixel_error
from segbench.metrics.surface import boundary_f1, normalised_surface_dice
from tests.metrics.test_golden_case import CELLS, PREDICTION, REFERENCE, SPLIT
from tests.metrics.test_objects import CASES, ids

OBJECT_SCORES = [glas_f1, seg, information_score]
GOLDEN = InstancePair(PREDICTION, REFERENCE, (1, 1))
GOLDEN_MASKS = MaskPair(PREDICTION > 0, REFERENCE > 0, (1, 1))


def entropy(*counts: int) -> float:
    shares = np.array(counts) / sum(counts)
    return float(-(shares * np.log2(shares)).sum())


def test_golden_case():
    assert glas_f1(GOLDEN) == 2 * 1 / (2 + 2)  # one square covers 12 of the 16 pixels, the other none
    assert seg(GOLDEN) == pytest.approx((12 / 20 + 0) / 2)
    predicted, true = entropy(12, 20), entropy(16, 16)
    information = predicted + true - entropy(12, 4, 16)
    assert information_score(GOLDEN) == pytest.approx(2 * information / (predicted + true))
    assert pixel_error(GOLDEN_MASKS) == pytest.approx(1 - 2 * 92 / (2 * 92 + 20 + 20))
    # 12 of 24 predicted surface pixels lie within 1 of the other surface, and 16 of 24 the other way round.
    near = 1 / math.hypot(12, 12) + 1e-6
    assert boundary_f1(GOLDEN_MASKS, near) == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert normalised_surface_dice(GOLDEN_MASKS, 1) == pytest.approx((12 + 16) / 48)


@pytest.mark.parametrize("case", CASES)
def test_information_score_agrees_with_skimage(case):
    predicted, true = (image[case[1] > 0] for image in case)  # the pixels of the reference objects
    # skimage leaves out the label 0; here predicted background is a segment.
    split, merged = variation_of_information(true, predicted + 1)  # H(S | T), H(T | S)
    true_entropy = entropy(*np.unique(true, return_counts=True)[1])
    predicted_entropy = entropy(*np.unique(predicted, return_counts=True)[1])
    information = true_entropy - merged
    assert information == pytest.approx(predicted_entropy - split)
    pair = InstancePair(*case, [1] * case[0].ndim)
    assert information_score(pair) == pytest.approx(2 * information / (true_entropy + predicted_entropy))


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [(CELLS, 1.0), (np.ones_like(CELLS), 0.0), (SPLIT, 2 * 1 / (1.5 + 1))],  # bits: 1/2, 1/4, 1/4 against 1/2, 1/2
    ids=["perfect", "merged", "split"],
)
def test_information_score_of_two_neighbouring_cells(prediction, expected):
    assert information_score(InstancePair(prediction, CELLS, (1, 1))) == pytest.approx(expected)


@pytest.mark.parametrize("case", CASES)
def test_seg_by_brute_force(case):
    predicted, true = case
    total = 0.0
    for j in ids(true):
        for i in ids(predicted):
            shared = np.sum((predicted == i) & (true == j))
            if shared > 0.5 * np.sum(true == j):
                total += shared / np.sum((predicted == i) | (true == j))
    assert seg(InstancePair(*case, [1] * true.ndim)) == pytest.approx(total / len(ids(true)))


@pytest.mark.parametrize("case", CASES)
def test_glas_f1_by_brute_force(case):
    predicted, true = case
    found = set()
    for i in ids(predicted):
        shared = {j: np.sum((predicted == i) & (true == j)) for j in ids(true)}
        largest = max(shared, key=shared.__getitem__)
        if shared[largest] and shared[largest] >= 0.5 * np.sum(true == largest):
            found.add(largest)
    right = len(found)
    wrong, missed = len(ids(predicted)) - right, len(ids(true)) - right
    pair = InstancePair(*case, [1] * true.ndim)
    assert glas_f1(pair) == pytest.approx(2 * right / (2 * right + wrong + missed))


def test_two_halves_of_one_gland_are_one_hit():
    true, halves = np.ones((2, 4), np.int32), np.array([[1, 1, 2, 2]] * 2, np.int32)
    assert glas_f1(InstancePair(halves, true, (1, 1))) == pytest.approx(2 * 1 / (2 + 1))
    assert seg(InstancePair(halves, true, (1, 1))) == 0  # neither half holds more than half


def test_a_gland_may_be_covered_by_far_too_much():
    true = np.zeros((8, 8), np.int32)
    true[:2, :2] = 1
    assert glas_f1(InstancePair(np.ones_like(true), true, (1, 1))) == 1
    assert seg(InstancePair(np.ones_like(true), true, (1, 1))) == 4 / 64


@pytest.mark.parametrize("metric", OBJECT_SCORES)
def test_perfect_empty_and_ignored(metric):
    predicted, true = CASES[0]
    assert metric(InstancePair(true, true, (1, 1))) == 1
    nothing = np.zeros_like(true)
    assert math.isnan(metric(InstancePair(nothing, nothing, (1, 1))))
    assert metric(InstancePair(nothing, true, (1, 1))) == metric(InstancePair(true, nothing, (1, 1))) == 0
    ignored = np.indices(true.shape)[0] >= 40
    assert metric(InstancePair(predicted, true, (1, 1), ignored)) == pytest.approx(
        metric(InstancePair(predicted[:40], true[:40], (1, 1)))
    )


@pytest.mark.parametrize("metric", OBJECT_SCORES)
def test_numbers_of_objects_do_not_matter(metric):
    predicted, true = CASES[1]
    other = np.random.default_rng(0).permutation(np.arange(1, 400))
    renumbered = np.where(predicted > 0, other[predicted], 0)
    assert metric(InstancePair(renumbered, true, (1, 1))) == pytest.approx(
        metric(InstancePair(predicted, true, (1, 1)))
    )


def masks(seed: int) -> MaskPair:
    predicted, true = np.random.default_rng(seed).integers(0, 2, (2, 15, 17)).astype(bool)
    return MaskPair(predicted, true, (1, 1))


def test_pixel_error_is_one_minus_the_dice_of_the_other_class():
    predicted, true = np.random.default_rng(3).integers(0, 2, (2, 15, 17)).astype(bool)
    outside = MaskPair(~predicted, ~true, (1, 1))
    assert pixel_error(MaskPair(predicted, true, (1, 1))) == pytest.approx(1 - dice(outside))


def test_pixel_error_where_a_side_is_empty():
    some, nothing = np.eye(4, dtype=bool), np.zeros((4, 4), bool)
    assert math.isnan(pixel_error(MaskPair(nothing, nothing, (1, 1))))
    assert pixel_error(MaskPair(some, nothing, (1, 1))) == pytest.approx(4 / (2 * 12 + 4))


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_pass_rate_is_the_share_of_cases_that_reach_the_threshold(threshold):
    pairs = [masks(seed) for seed in range(10)] + [GOLDEN_MASKS]
    values = [pass_at(pair, threshold) for pair in pairs]
    assert np.mean(values) == np.mean([dice(pair) >= threshold for pair in pairs])


def test_pass_at_the_threshold_itself_and_where_the_class_is_absent():
    assert pass_at(GOLDEN_MASKS, 0.375) == 1
    assert pass_at(GOLDEN_MASKS, 0.376) == 0
    nothing = np.zeros((4, 4), bool)
    assert math.isnan(pass_at(MaskPair(nothing, nothing, (1, 1)), 0.5))
    assert pass_at(MaskPair(~nothing, nothing, (1, 1)), 0.5) == 0


@pytest.mark.parametrize("spacing", [(1, 1), (2.0, 0.5)])
def test_boundary_f1_by_distance_maps(spacing):
    predicted, true = (image > 0 for image in CASES[1])
    near = 0.02 * math.hypot(*np.multiply(true.shape, spacing))
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (predicted, true)]
    to_predicted, to_true = (ndimage.distance_transform_edt(~surface, sampling=spacing) for surface in surfaces)
    precision = np.mean(to_true[surfaces[0]] <= near)
    recall = np.mean(to_predicted[surfaces[1]] <= near)
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_f1(MaskPair(predicted, true, spacing), 0.02) == pytest.approx(expected)
    assert 0.1 < expected < 0.95


def test_boundary_f1_where_nothing_is_near():
    far = np.zeros((40, 40), bool)
    one, other = far.copy(), far.copy()
    one[:3, :3], other[-3:, -3:] = True, True
    assert boundary_f1(MaskPair(one, other, (1, 1))) == 0
    assert boundary_f1(MaskPair(one, far, (1, 1))) == 0
    assert math.isnan(boundary_f1(MaskPair(far, far, (1, 1))))
