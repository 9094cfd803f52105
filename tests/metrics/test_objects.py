import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.metrics import adapted_rand_error as skimage_adapted_rand_error
from torchmetrics.functional.detection import panoptic_quality as torchmetrics_panoptic_quality

from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.object_matching import InstancePair
from segbench.metrics.objects import (
    THRESHOLDS,
    adapted_rand_error,
    average_precision,
    count_error,
    object_dice,
    object_f1,
    object_hausdorff,
    object_precision,
    object_recall,
    panoptic_quality,
    rand_score,
    segmentation_quality,
)
from segbench.metrics.overlap import dice
from segbench.metrics.surface import hd

SCORES = [
    object_precision,
    object_recall,
    object_f1,
    average_precision,
    segmentation_quality,
    panoptic_quality,
    object_dice,
    rand_score,
]


def blobs(shape, seed, change=0.5):
    """A reference and a prediction of some dozen objects: kept, moved, merged, split, missed and invented."""
    rng = np.random.default_rng(seed)
    field, noise = (ndimage.gaussian_filter(rng.standard_normal(shape), 2) for _ in range(2))
    images = field + change * noise, field
    return [ndimage.label(image > 0.6 * image.std())[0].astype(np.int32) for image in images]


def iou_table(predicted, true):
    """IoU of every object with every other, one pair of masks at a time."""
    return np.array(
        [
            [np.sum((predicted == i) & (true == j)) / np.sum((predicted == i) | (true == j)) for j in ids(true)]
            for i in ids(predicted)
        ]
    )


def ids(image):
    return [number for number in np.unique(image) if number]


CASES = [blobs((64, 70), seed=0), blobs((64, 70), seed=1, change=1.0), blobs((20, 24, 22), seed=2)]


@pytest.mark.parametrize("case", CASES)
def test_table_by_brute_force(case):
    pair = InstancePair(*case, spacing=[1] * case[0].ndim)
    table = np.zeros((pair.n_pred, pair.n_ref))
    table[pair.rows, pair.columns] = pair.iou
    np.testing.assert_allclose(table, iou_table(*case))
    assert pair.prediction_areas.tolist() == [np.sum(case[0] == number) for number in ids(case[0])]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_counts_by_brute_force(case, threshold):
    pair = InstancePair(*case, spacing=[1] * case[0].ndim)
    matches = np.sum(iou_table(*case) > threshold)  # unique: no two objects hold more than half of a third
    assert object_precision(pair, threshold) == matches / len(ids(case[0]))
    assert object_recall(pair, threshold) == matches / len(ids(case[1]))
    assert object_f1(pair, threshold) == 2 * matches / (len(ids(case[0])) + len(ids(case[1])))


def best_matching(table, threshold):
    """The most pairs, then the largest sum of IoUs, of all assignments there are."""
    rows, columns = table.shape
    best = (0, 0.0)
    for chosen in itertools.permutations([*range(columns), *[None] * rows], rows):
        kept = [table[i, j] for i, j in enumerate(chosen) if j is not None and table[i, j] > threshold]
        best = max(best, (len(kept), sum(kept)))
    return best


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.2])
def test_matching_below_one_half_tries_all_assignments(seed, threshold):
    rng = np.random.default_rng(seed)
    predicted, true = rng.integers(0, 4, (2, 5, 4))
    pair = InstancePair(predicted, true, (1, 1))
    found = pair.matched_iou(threshold)
    assert (len(found), found.sum()) == pytest.approx(best_matching(iou_table(predicted, true), threshold))


@pytest.mark.parametrize("case", CASES[:2])
def test_panoptic_quality_agrees_with_torchmetrics(case):
    predicted, true = (torch.from_numpy(np.stack([image > 0, image], axis=-1))[None] for image in case)
    expected = torchmetrics_panoptic_quality(predicted.long(), true.long(), things={1}, stuffs={0})
    background = [image == 0 for image in case]
    stuff_iou = np.mean(background[0] & background[1]) / np.mean(background[0] | background[1])
    things = 2 * expected.item() - stuff_iou  # torchmetrics averages over the two classes
    assert panoptic_quality(InstancePair(*case, (1, 1))) == pytest.approx(things, abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_adapted_rand_error_agrees_with_skimage(case):
    expected = skimage_adapted_rand_error(case[1], case[0])[0]
    assert adapted_rand_error(InstancePair(*case, [1] * case[0].ndim)) == pytest.approx(expected)


def test_rand_score_by_its_definition():
    predicted, true = CASES[0]
    joint = np.array([[np.sum((predicted == i) & (true == j)) for j in ids(true)] for i in np.unique(predicted)])
    split = np.sum(joint**2) / np.sum(joint.sum(axis=0) ** 2)
    merge = np.sum(joint**2) / np.sum(joint.sum(axis=1) ** 2)
    expected = 2 * split * merge / (split + merge)
    assert rand_score(InstancePair(predicted, true, (1, 1))) == pytest.approx(expected)


def by_brute_force(own, other, spacing, of_partner, of_nobody):
    """One side of object Dice and object Hausdorff, one pair of objects at a time."""
    total = 0.0
    for i in ids(own):
        mask = own == i
        pairs = [MaskPair(mask, other == j, spacing) for j in ids(other)]
        partner = max(pairs, key=lambda pair: (pair.true_positives, dice(pair)))
        value = of_partner(partner) if partner.true_positives else of_nobody(pairs)
        total += value * mask.sum() / np.count_nonzero(own)
    return total


@pytest.mark.parametrize(("case", "spacing"), [(CASES[0], (1, 1)), (CASES[1], (2, 0.5)), (CASES[2], (3, 1, 1))])
def test_object_distance_and_dice_by_brute_force(case, spacing):
    pair = InstancePair(*case, spacing)
    for metric, of_partner, of_nobody in (
        (object_hausdorff, hd, lambda pairs: min(map(hd, pairs))),
        (object_dice, dice, lambda pairs: 0.0),
    ):
        sides = [by_brute_force(*maps, spacing, of_partner, of_nobody) for maps in (case, case[::-1])]
        assert metric(pair) == pytest.approx(np.mean(sides))


def test_neither_map_has_an_object():
    nothing = np.zeros((4, 4), dtype=np.int32)
    pair = InstancePair(nothing, nothing, (1, 1))
    for metric in (*SCORES, object_hausdorff, adapted_rand_error):
        assert math.isnan(metric(pair)), metric.__name__
    assert count_error(pair) == 0


@pytest.mark.parametrize("missed", [True, False])
def test_one_map_has_no_object(missed):
    nothing, something = np.zeros((3, 4), dtype=np.int32), np.diag([1, 2, 3, 4])[:3]
    pair = InstancePair(*((nothing, something) if missed else (something, nothing)), (1, 1))
    for metric in SCORES:
        assert metric(pair) == 0, metric.__name__
    assert adapted_rand_error(pair) == 1
    assert object_hausdorff(pair) == 5
    assert count_error(pair) == 3


@pytest.mark.parametrize("metric", [*SCORES, adapted_rand_error, object_hausdorff, count_error])
def test_ignored_pixels_count_for_nothing(metric):
    predicted, true = CASES[0]
    ignored = np.zeros(true.shape, dtype=bool)
    ignored[40:] = True
    scored = InstancePair(predicted, true, (1, 1), ignored)
    assert metric(scored) == metric(InstancePair(predicted[:40], true[:40], (1, 1)))


def test_no_warning_where_nothing_overlaps():
    predicted, true = np.zeros((2, 4, 4), dtype=np.int32)
    predicted[0, 0], true[3, 3] = 7, 9
    pair = InstancePair(predicted, true, (1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in (object_f1, average_precision, segmentation_quality, panoptic_quality, object_dice):
            assert metric(pair) == 0, metric.__name__
    assert object_f1(pair, 0.1) == 0
    assert object_hausdorff(pair) == pytest.approx(math.hypot(3, 3))


def test_what_a_map_of_objects_must_be():
    image = np.ones((4, 4), dtype=np.int32)
    with pytest.raises(ValueError, match="shapes differ"):
        InstancePair(image, image[1:], (1, 1))
    with pytest.raises(ValueError, match="negative"):
        InstancePair(image, -image, (1, 1))
    with pytest.raises(ValueError, match="2 positive numbers"):
        InstancePair(image, image, (1,))
