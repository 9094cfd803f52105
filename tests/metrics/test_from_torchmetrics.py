"""Metrics of torchmetrics per case and class: as the library computes them, by our rules."""

import math

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torchmetrics.classification import BinaryCohenKappa, BinaryF1Score, BinaryJaccardIndex, BinaryMatthewsCorrCoef
from torchmetrics.functional.segmentation import hausdorff_distance
from torchmetrics.segmentation import DiceScore

from segbench.errors import UserError
from segbench.metrics.configured import directions, functions
from segbench.metrics.from_torchmetrics import CaseMetric
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.overlap import dice, iou
from segbench.metrics.surface import hd


def masks(seed):
    draw = np.random.default_rng(seed)
    return draw.random((2, 9, 14)) < 0.4


def config(**classes):
    return OmegaConf.create({"classes": classes, "objects": {}})


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_the_library_and_of_ours(seed):
    prediction, reference = masks(seed)
    pair = MaskPair(prediction, reference, (1, 1))
    given = [torch.from_numpy(mask.astype(int)) for mask in (prediction, reference)]
    for kind in (BinaryMatthewsCorrCoef, BinaryCohenKappa, BinaryJaccardIndex):
        theirs = kind()
        assert CaseMetric(kind())(pair) == pytest.approx(float(theirs(*given)))
    assert CaseMetric(BinaryF1Score())(pair) == pytest.approx(dice(pair))
    assert CaseMetric(BinaryJaccardIndex())(pair) == pytest.approx(iou(pair))
    of_segmentation = DiceScore(num_classes=2, include_background=False, input_format="index")
    assert CaseMetric(of_segmentation)(pair) == pytest.approx(dice(pair))


def test_one_case_does_not_reach_into_the_next():
    metric = CaseMetric(BinaryF1Score())
    pairs = [MaskPair(*masks(seed), (1, 1)) for seed in range(3)]
    assert [metric(pair) for pair in pairs] == pytest.approx([dice(pair) for pair in pairs])


def test_ignored_pixels_count_for_nothing():
    prediction, reference = masks(0)
    ignored = np.zeros_like(reference)
    ignored[:, :6] = True
    pair = MaskPair(prediction, reference, (1, 1), ignored)
    cut = MaskPair(prediction[:, 6:], reference[:, 6:], (1, 1))
    for kind in (BinaryMatthewsCorrCoef, BinaryF1Score):
        assert CaseMetric(kind())(pair) == pytest.approx(CaseMetric(kind())(cut))


def test_empty_masks():
    something, nothing = masks(0)[0], np.zeros((9, 14), dtype=bool)
    metric = CaseMetric(BinaryF1Score())
    assert math.isnan(metric(MaskPair(nothing, nothing, (1, 1))))
    assert metric(MaskPair(nothing, something, (1, 1))) == 0
    far = {"_target_": "torchmetrics.segmentation.HausdorffDistance", "num_classes": 2, "include_background": False,
           "input_format": "index"}  # fmt: skip
    distance = functions(config(far=far), "classes")["far"]
    assert distance(MaskPair(nothing, something, (1, 1))) == math.hypot(9, 14)  # the library says infinite


def test_directions_are_those_of_the_library():
    named = config(
        mcc={"_target_": "torchmetrics.classification.BinaryMatthewsCorrCoef"},
        hamming={"_target_": "torchmetrics.classification.BinaryHammingDistance"},
    )
    assert directions(named)["classes"] == {"mcc": "larger", "hamming": "smaller"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BinaryStatScores", "BinaryStatScores cannot score masks of 6 x 10 pixels"),
        ("BinaryConfusionMatrix", "cannot score masks of 6 x 10 pixels"),
        ("BinaryCalibrationError", "cannot score masks of 6 x 10 pixels"),
    ],
)
def test_what_cannot_score_masks_is_one_line(name, message):
    with pytest.raises(UserError) as error:
        directions(config(odd={"_target_": f"torchmetrics.classification.{name}"}))
    assert str(error.value).startswith("metrics.classes.odd: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_objects_are_not_for_torchmetrics():
    metrics = OmegaConf.create(
        {"classes": {}, "objects": {"f1": {"_target_": "torchmetrics.classification.BinaryF1Score"}}}
    )
    with pytest.raises(UserError, match=r"metrics\.objects\.f1: .* name it in metrics\.classes"):
        directions(metrics)


def test_the_library_is_still_wrong_about_the_hausdorff_distance():
    """Where this fails, torchmetrics has been mended, and the note in `from_torchmetrics` is out of date."""
    prediction, reference = np.zeros((2, 6, 10), dtype=bool)
    prediction[1:4, 1:4], reference[3:5, 3:6] = True, True
    both = [torch.from_numpy(np.stack([~mask, mask])[None].astype(int)) for mask in (prediction, reference)]
    theirs = float(hausdorff_distance(*both, num_classes=2, include_background=False))
    assert hd(MaskPair(prediction, reference, (1, 1))) == pytest.approx(math.sqrt(8))
    assert theirs == pytest.approx(math.sqrt(45))
