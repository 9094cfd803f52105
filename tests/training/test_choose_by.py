"""Whatever `metrics.choose_by` names chooses the checkpoint, in its direction."""

import json

import pandas as pd
import pytest
import torch

from segbench.errors import UserError
from segbench.metrics.configured import criterion
from segbench.runs.criterion import Criterion
from segbench.runs.progress import read_progress
from tests.made_runs import configure, execute

STEPS = ("trainer.max_steps=8", "trainer.validate_every=2", "metrics=standard", "optimizer.lr=0.02")


@pytest.mark.parametrize(
    ("chosen", "key", "criterion"),
    [
        ("hd95", "hd95", Criterion(("hd95",), "smaller")),
        ("[dice,nsd]", "score", Criterion(("dice", "nsd"), "larger")),
        ("object_f1_50", "object_f1_50", Criterion(("object_f1_50",), "larger")),
    ],
)
def test_the_best_checkpoint_is_that_of_the_best_validation(chosen, key, criterion, tmp_path):
    directory = execute(tmp_path / "run", *STEPS, f"metrics.choose_by={chosen}")
    curves = pd.read_csv(directory.path / "metrics.csv").set_index("step")
    scores = curves[f"validation/{key}"].dropna()
    assert len(scores) == 4
    record = json.loads((directory.path / "run.json").read_text())
    training = record["training"]
    best = scores.min() if criterion.direction == "smaller" else scores.max()
    assert training["best_score"] == pytest.approx(best)
    assert training["best_step"] == scores.index[scores == best][0]
    assert Criterion.of(record) == criterion
    assert training["gap"] == pytest.approx(criterion.gap(training["train_score"], training["best_score"]))
    for metric in criterion.metrics:
        assert f"validation/{metric}" in curves
    progress = read_progress(directory.path)
    assert progress.result == f"{criterion.label} {training['best_score']:.3f}"
    checkpoint = torch.load(directory.best_checkpoint, weights_only=False)
    assert checkpoint["global_step"] == training["best_step"]


def test_callbacks_and_the_plateau_see_the_same_score(tmp_path):
    directory = execute(
        tmp_path / "run", *STEPS, "metrics.choose_by=hd95", "scheduler=plateau", "scheduler.patience=0",
        "callbacks=early_stopping", "callbacks.early_stopping.patience=2", "callbacks.early_stopping.min_delta=1000",
        "scheduler.threshold=1000",
    )  # fmt: skip
    curves = pd.read_csv(directory.path / "metrics.csv").set_index("step")
    assert directory.record["training"]["steps"] == 6  # no distance falls by 1000 pixels
    assert curves["lr"].dropna().iloc[-1] < curves["lr"].dropna().iloc[0]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("hd96", "metrics.choose_by=hd96: there is no metric hd96; did you mean hd95?"),
        ("[dice,hd95]", "larger is better of dice, smaller of hd95; choose by metrics of one direction"),
        ("[]", "must be the name of a metric, or a list of different ones"),
        ("[dice,dice]", "must be the name of a metric, or a list of different ones"),
        ("null", "metrics.choose_by=null: must be a text, or a list, each a text"),
    ],
)
def test_what_cannot_choose_is_refused_before_data_is_read(chosen, message, tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.training.assembly.build_data", None)
    with pytest.raises(UserError) as error:
        execute(tmp_path / "run", "metrics=standard", f"metrics.choose_by={chosen}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_dice_needs_no_mention():
    config = configure("metrics=overlap", "~metrics.classes.dice").metrics
    assert criterion(config) == Criterion()


def test_objects_choose_only_where_there_are_objects(tmp_path):
    with pytest.raises(UserError, match=r"metrics\.choose_by=object_dice: .* has no objects to score"):
        execute(tmp_path / "run", "metrics=glas", "metrics.choose_by=object_dice", "data=synthetic_vessels")
