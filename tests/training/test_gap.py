"""The generalisation gap: training less validation Dice."""

import json
from typing import ClassVar

import pandas as pd
import pytest
from torch.optim import SGD

from segbench.training.module import SegmentationModule
from tests.made_runs import execute


class Listener(SGD):
    """Keeps the gaps that it hears of."""

    heard: ClassVar[list[float]] = []

    def after_validation(self, gap: float) -> None:
        self.heard.append(gap)


def test_gap_is_logged_recorded_and_told(tmp_path, monkeypatch):
    """The curves have it at every validation, `run.json` at the best step, an optimizer hears of it."""
    scored: list[tuple[int, str]] = []
    original = SegmentationModule.validation_step

    def validation_step(self, case, index, dataloader_idx=0):
        scored.append((dataloader_idx, case["case_id"]))
        original(self, case, index, dataloader_idx)

    monkeypatch.setattr(SegmentationModule, "validation_step", validation_step)
    monkeypatch.setattr(Listener, "heard", [])
    run = execute(
        tmp_path / "run", f"optimizer._target_={__name__}.Listener", "~optimizer.betas", "trainer.gap_cases=3"
    )
    curves = pd.read_csv(run.path / "metrics.csv").dropna(subset=["validation/gap"])
    assert len(curves) == 2
    assert list(curves["validation/gap"]) == pytest.approx(
        list(curves["train/dice"] - curves["validation/dice"]), abs=1e-6
    )
    assert Listener.heard == pytest.approx(list(curves["validation/gap"]), abs=1e-6)
    training = run.record["training"]
    best = curves[curves["step"] == training["best_step"]].iloc[0]
    assert training["gap"] == pytest.approx(training["train_score"] - training["best_score"])
    assert training["gap"] == pytest.approx(best["validation/gap"], abs=1e-6)

    split = json.loads((run.path / "split.json").read_text())
    assert {case for loader, case in scored if loader == 0} == set(split["validation"])
    seen = [case for loader, case in scored if loader == 1]
    assert len(seen) == 6
    assert len(set(seen)) == 3
    assert set(seen) <= set(split["train"])


def test_without_training_cases_there_is_no_gap(tmp_path):
    run = execute(tmp_path / "run", "trainer.gap_cases=0")
    assert run.record["training"]["gap"] is None
    assert "validation/gap" not in pd.read_csv(run.path / "metrics.csv")
