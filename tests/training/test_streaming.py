"""Streaming metrics of a run: the same in any number of processes, continued or not, and none of the run's business."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.ddp import launch
from tests.made_runs import configure, execute

__all__ = ["launch"]

MORE = (
    "+metrics.streaming.train.pixel_f1={_target_: torchmetrics.classification.MulticlassF1Score, "
    "num_classes: '${measured.classes}', average: none, ignore_index: 255}",
    "+metrics.streaming.validation.calibration={_target_: torchmetrics.classification.MulticlassCalibrationError, "
    "num_classes: '${measured.classes}', ignore_index: 255}",
)
SAME = ("trainer.precision=64-true", "augmentation=flips", "model.norm=instance", "loss=cross_entropy",
        "data.batch_size=6", "trainer.max_steps=2", "trainer.validate_every=1", "folds=3", "data.dataset.cases=9",
        "logger=none", "trainer.log_every=1")  # fmt: skip
CURVES = (*(f"train/pixel_f1/{name}" for name in ("background", "round", "spindle", "ring")),
          "validation/pixel_iou", "validation/calibration")  # fmt: skip


def curves(path):
    return pd.read_csv(path / "metrics.csv").set_index("step")


@pytest.fixture(scope="module")
def alone(launch, tmp_path_factory):
    path = tmp_path_factory.mktemp("alone")
    assert launch(path, 1, *SAME, *MORE) == [0]
    return path


def test_a_run_has_their_curves_and_the_confusion_matrix_of_its_best_step(alone):
    table = curves(alone)
    assert all(table[name].notna().all() for name in CURVES)
    best = torch.load(alone / "checkpoints" / "best.ckpt", weights_only=True)
    confusion = best["tables"]["confusion"].double()
    step = json.loads((alone / "run.json").read_text())["training"]["best_step"]
    iou = confusion.diag() / (confusion.sum(dim=0) + confusion.sum(dim=1) - confusion.diag())
    assert table["validation/pixel_iou"][step] == pytest.approx(float(iou.mean()), abs=1e-6)
    assert Image.open(alone / "confusion.png").size[0] > 100


def test_two_processes_have_the_numbers_of_one(launch, alone, tmp_path):
    assert launch(tmp_path, 2, *SAME, *MORE) == [0, 0]
    ours, theirs = curves(tmp_path), curves(alone)
    for name in CURVES:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)
    tables = [torch.load(path / "checkpoints" / "best.ckpt")["tables"]["confusion"] for path in (tmp_path, alone)]
    assert torch.equal(*tables)


def test_they_change_nothing_else(tmp_path, alone):
    plain = execute(tmp_path / "run", *SAME, "metrics.streaming=null", "metrics.receptive_field=false")
    assert plain.record["id"] == json.loads((alone / "run.json").read_text())["id"]
    ours, theirs = curves(plain.path), curves(alone)
    assert set(theirs) - set(ours) == set(CURVES)
    pd.testing.assert_frame_equal(ours, theirs[list(ours)])
    assert not (plain.path / "confusion.png").exists()


def test_a_metric_that_takes_other_classes_is_refused_before_training(tmp_path):
    from segbench.errors import UserError

    odd = "+metrics.streaming.validation.odd={_target_: torchmetrics.classification.BinaryAUROC}"
    with pytest.raises(UserError, match=r"metrics\.streaming\.validation\.odd: BinaryAUROC cannot score 4 classes"):
        execute(tmp_path / "run", odd)


def test_the_standard_is_light():
    streaming = configure("metrics=standard").metrics.streaming
    assert streaming.train == {}
    assert list(streaming.validation) == ["pixel_iou", "confusion"]
