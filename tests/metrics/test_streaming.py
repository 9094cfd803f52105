"""Streaming metrics: what torchmetrics makes of all pixels together."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from sklearn.metrics import confusion_matrix, jaccard_score

from segbench.errors import UserError
from segbench.metrics.streaming import build_streaming
from segbench.runs.criterion import Criterion
from tests.made_runs import configure

CLASSES = ("background", "cell", "debris")
CALIBRATION = {"_target_": "torchmetrics.classification.MulticlassCalibrationError", "num_classes": 3}


def standard():
    config = configure("metrics=standard")
    config.measured.classes = 3
    return config.metrics


def test_the_standard_ones_are_those_of_scikit_learn():
    draw = torch.Generator().manual_seed(0)
    streaming = build_streaming(standard(), CLASSES, Criterion())["validation"]
    labels, predictions = [], []
    for _ in range(3):
        logits = torch.randn(1, 3, 7, 11, generator=draw)
        target = torch.randint(0, 3, (1, 7, 11), generator=draw)
        target[:, 0] = 255
        streaming.update(logits, target.byte())
        labels.append(target[:, 1:].flatten())
        predictions.append(logits.argmax(dim=1)[:, 1:].flatten())
    true, found = torch.cat(labels).numpy(), torch.cat(predictions).numpy()
    numbers, tables = streaming.result()
    np.testing.assert_array_equal(tables["confusion"].numpy(), confusion_matrix(true, found))
    assert numbers == {"pixel_iou": pytest.approx(jaccard_score(true, found, average="macro"))}
    streaming.update(logits, target)
    assert streaming.result()[1]["confusion"].sum() == 66  # what was before is forgotten


def test_a_number_for_each_class_has_its_name():
    each = {"_target_": "torchmetrics.classification.MulticlassF1Score", "num_classes": 3, "average": "none"}
    config = OmegaConf.create({"streaming": {"train": {"f1": each, "calibration": CALIBRATION}}})
    streaming = build_streaming(config, CLASSES, Criterion())["train"]
    target = torch.arange(60).reshape(1, 6, 10) % 3
    streaming.update(100 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float(), target)
    numbers, _ = streaming.result()
    assert numbers == {
        "f1/background": 1.0,
        "f1/cell": 1.0,
        "f1/debris": 1.0,
        "calibration": pytest.approx(0, abs=1e-6),
    }


def test_overlapping_classes_are_left_alone():
    streaming = build_streaming(standard(), CLASSES, Criterion())["validation"]
    streaming.update(torch.randn(1, 2, 6, 10), torch.zeros(1, 2, 6, 10))
    assert streaming.result()[1]["confusion"].sum() == 0


@pytest.mark.parametrize(
    ("streaming", "message"),
    [
        ({"test": {"x": CALIBRATION}}, "metrics.streaming.test: must be train or validation"),
        ({"train": {"dice": CALIBRATION}}, "metrics.streaming.train.dice: another curve is called train/dice"),
        ({"train": {"loss": CALIBRATION}}, "another curve is called train/loss"),
        ({"train": {"x": {**CALIBRATION, "num_classes": 2}}}, "MulticlassCalibrationError cannot score 3 classes"),
        (
            {"train": {"x": {"_target_": "segbench.metrics.overlap.dice", "_partial_": True}}},
            "is no metric of torchmetrics",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(streaming, message):
    with pytest.raises(UserError) as error:
        build_streaming(OmegaConf.create({"streaming": streaming}), CLASSES, Criterion())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("none", [None, {}, {"train": {}, "validation": None}])
def test_none_are_asked_for(none):
    assert build_streaming(OmegaConf.create({"streaming": none}), CLASSES, Criterion()) == {}
