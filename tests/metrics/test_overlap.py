import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_confusion_matrix_metric, compute_dice, compute_iou, get_confusion_matrix

from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.overlap import dice, iou, precision, recall, specificity, volume_difference

ALL = [dice, iou, precision, recall, specificity, volume_difference]


def random_masks(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < 0.4, rng.random(shape) < 0.3


@pytest.mark.parametrize("shape", [(17, 23), (7, 9, 11)])
def test_agrees_with_monai(shape):
    masks = random_masks(shape)
    pair = MaskPair(*masks, spacing=[1] * len(shape))
    predicted, true = (torch.from_numpy(mask)[None, None].float() for mask in masks)

    assert dice(pair) == pytest.approx(compute_dice(predicted, true).item(), abs=1e-6)
    assert iou(pair) == pytest.approx(compute_iou(predicted, true).item(), abs=1e-6)
    confusion = get_confusion_matrix(predicted, true)
    for metric in (precision, recall, specificity):
        expected = compute_confusion_matrix_metric(metric.__name__, confusion).item()
        assert metric(pair) == pytest.approx(expected, abs=1e-6)


def test_volume_difference():
    ten, thirty = np.zeros((2, 10, 10), dtype=bool)
    ten[0], thirty[3:6] = True, True
    assert volume_difference(MaskPair(ten, thirty, (1, 1))) == 0.5
    assert volume_difference(MaskPair(thirty, ten, (1, 1))) == 0.5
    assert volume_difference(MaskPair(ten, ten[::-1], (1, 1))) == 0


@pytest.mark.parametrize("metric", ALL)
def test_absent_class_has_no_score(metric):
    nothing = np.zeros((5, 5), dtype=bool)
    assert math.isnan(metric(MaskPair(nothing, nothing, (1, 1))))


@pytest.mark.parametrize("metric", [dice, iou, precision, recall])
@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_mask_overlaps_nothing(metric, missed):
    nothing, something = np.zeros((5, 5), dtype=bool), np.eye(5, dtype=bool)
    pair = MaskPair(nothing, something, (1, 1)) if missed else MaskPair(something, nothing, (1, 1))
    assert metric(pair) == 0
    assert volume_difference(pair) == 1


def test_specificity_looks_at_the_outside():
    nothing, something, everything = (
        np.zeros((5, 5), dtype=bool),
        np.eye(5, dtype=bool),
        np.ones((5, 5), bool),
    )
    assert specificity(MaskPair(nothing, something, (1, 1))) == 1
    assert specificity(MaskPair(something, nothing, (1, 1))) == pytest.approx(20 / 25)
    assert math.isnan(specificity(MaskPair(something, everything, (1, 1))))


@pytest.mark.parametrize("metric", ALL)
def test_ignored_pixels_count_for_nothing(metric):
    predicted, true = random_masks((9, 14))
    ignored = np.zeros_like(true)
    ignored[:, 10:] = True
    scored = MaskPair(predicted, true, (1, 1), ignored)
    cut = MaskPair(predicted[:, :10], true[:, :10], (1, 1))
    assert scored.scored == 90
    assert metric(scored) == metric(cut)


def test_shapes_and_spacing_must_fit():
    mask = np.ones((4, 4), dtype=bool)
    with pytest.raises(ValueError, match="shapes differ"):
        MaskPair(mask, mask[1:], (1, 1))
    with pytest.raises(ValueError, match="2 positive numbers"):
        MaskPair(mask, mask, (1, 1, 1))
    with pytest.raises(ValueError, match="2 positive numbers"):
        MaskPair(mask, mask, (1, 0))
