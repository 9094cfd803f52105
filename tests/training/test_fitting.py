"""Runs of models that no gradient trains: the same directory, checkpoints and commands as any other run."""

import json
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from segbench.errors import Stopped
from segbench.models.kmeans import KMeans
from segbench.runs.directory import RunDirectory, read_cases
from segbench.training.predictor import load_run
from tests.made_runs import execute

SMALL = ("data.dataset.cases=10", "data.dataset.size=[96,96]", "data.patch_size=[32,32]", "data.workers=0",
         "trainer=debug", "trainer.progress=false", "metrics=overlap", "logger=csv")  # fmt: skip


def fit(path, *overrides):
    return execute(path, *SMALL, *overrides, tiny=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("runs") / "kmeans", "model=kmeans")


def test_a_run_leaves_what_every_run_leaves(finished):
    assert finished.finished
    record = json.loads((finished.path / "run.json").read_text())
    training, cost = record["training"], record["cost"]
    assert (training["steps"], training["best_step"]) == (0, 0)
    assert training["seconds"] > 0
    assert training["gap"] == pytest.approx(training["train_score"] - training["best_score"])
    assert (cost["parameters"], cost["flops"], cost["receptive_field"]) == (0, None, None)
    assert record["cost"]["train_seconds"] == training["seconds"]
    curves = pd.read_csv(finished.path / "metrics.csv")
    assert curves["validation/dice"].dropna().tolist() == pytest.approx([training["best_score"]])
    assert {path.name for path in (finished.path / "previews").iterdir()} == {"best.png", "median.png", "worst.png"}
    assert (finished.path / "curves.png").exists()
    assert read_cases(finished.cases)["value"].max() > 0.1
    for checkpoint in (finished.last_checkpoint, finished.best_checkpoint):
        assert "model._extra_state" in torch.load(checkpoint, weights_only=False)["state_dict"]


def test_it_is_loaded_and_predicts_as_it_was_tested(finished):
    from segbench.training.assembly import build_dataset
    from segbench.training.predictor import load_run

    loaded = load_run(finished.path, "cpu")
    assert isinstance(loaded.module.model, KMeans)
    _, store = build_dataset(loaded.config)
    rows = read_cases(finished.cases)
    rows = rows[(rows["metric"] == "dice") & rows["value"].notna()]
    names = json.loads((finished.path / "run.json").read_text())["dataset"]["classes"]
    for case, of_case in rows.groupby("case"):
        found, label = loaded.predict(np.asarray(store[case].image)), np.asarray(store[case].label)
        for row in of_case.to_dict("records"):
            if row["class"] in names:
                k = names.index(row["class"])
                both, either = ((found == k) & (label == k)).sum(), (found == k).sum() + (label == k).sum()
                assert row["value"] == pytest.approx(2 * both / either)


def test_a_finished_run_is_not_fitted_again(finished, monkeypatch):
    monkeypatch.setattr(KMeans, "fit", lambda *_: pytest.fail("fitted"))
    assert fit(finished.path, "model=kmeans").finished


class Killed(BaseException):
    """What no part of the program expects."""


def _kill(*_):
    raise Killed


@pytest.mark.parametrize(("owner", "method"), [(KMeans, "get_extra_state"), (RunDirectory, "write_cases")])
def test_a_killed_run_continues_to_the_same_result(owner, method, finished, tmp_path, monkeypatch):
    """Killed when it is fitted but not yet written, and when it is tested but not yet finished."""
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, _kill)
        with pytest.raises(Killed):
            fit(tmp_path / "run", "model=kmeans")
    again = fit(tmp_path / "run", "model=kmeans")
    pd.testing.assert_frame_equal(read_cases(again.cases), read_cases(finished.cases))
    first, second = (load_run(run.path, "cpu").module.model.learnt for run in (again, finished))
    np.testing.assert_array_equal(first.centres, second.centres)
    np.testing.assert_array_equal(first.table, second.table)


def test_a_signal_stops_between_cases(tmp_path, monkeypatch):
    original = KMeans._features

    def features(self, image):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, image)

    monkeypatch.setattr(KMeans, "_features", features)
    with pytest.raises(Stopped):
        fit(tmp_path / "run", "model=kmeans")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "interrupted"
    assert "training" not in record


@pytest.mark.parametrize("model", ["otsu", "adaptive_threshold", "region_growing", "watershed", "random_forest"])
def test_every_one_runs(model, tmp_path):
    decoder = "crf" if model == "random_forest" else "watershed"
    less = ["model.trees=5", "model.pixels=500"] if model == "random_forest" else []
    run = fit(tmp_path / "run", f"model={model}", f"decoder={decoder}", *less)
    assert run.finished
    assert run.record["cost"]["parameters"] == 0
