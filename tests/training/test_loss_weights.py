"""Weights of losses: published schedules, the optimum of a learnt one, and heads of one value per image."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from segbench.errors import UserError
from segbench.losses.cross_entropy import BinaryCrossEntropy
from segbench.training.loss_weights import Fixed, InSteps, Learned, Linear
from segbench.training.objective import Objective, Part
from tests.made_runs import execute


def test_auxiliary_weights_of_dcan() -> None:
    """1, divided by 10 every 10,000 steps, until 1e-3."""
    weight = InSteps()
    found = [weight.value(step) for step in (0, 9_999, 10_000, 20_000, 30_000, 40_000, 10**6)]
    assert found == pytest.approx([1, 1, 0.1, 0.01, 0.001, 0.001, 0.001])


def test_a_line_and_then_its_end() -> None:
    weight = Linear(steps=100, start=1.0, end=0.001)
    assert [weight.value(step) for step in (0, 50, 100, 5000)] == pytest.approx([1, 0.5005, 0.001, 0.001])


def test_the_step_reaches_the_sum() -> None:
    outputs, batch = {"a": torch.ones(1, 1, 2, 2), "b": torch.ones(1, 1, 2, 2)}, {}
    batch = {"a": torch.zeros(1, 1, 2, 2), "b": torch.full((1, 1, 2, 2), 3.0)}
    objective = Objective({"a": Part(nn.MSELoss(), 0.5), "b": Part(nn.MSELoss(), InSteps(1.0, 0.1, 10, 0.0))})
    for step, factor in [(0, 1.0), (10, 0.1), (25, 0.01)]:
        total, parts = objective(outputs, batch, step)  # type: ignore[arg-type]
        assert float(total) == pytest.approx(0.5 * 1 + factor * 4)
        assert float(parts["b"]) == 4
        assert objective.weights(step) == pytest.approx({"b": factor})
    assert Objective({"a": Part(nn.MSELoss())}).weights(0) == {}
    assert isinstance(Part(nn.MSELoss(), 2).weight, Fixed)


def test_a_learnt_weight_by_its_formula() -> None:
    """L / (2 s^2) + log s (Kendall, Gal and Cipolla 2018); it starts at the plain loss times `start`."""
    weight = Learned(start=0.5)
    assert float(weight.value(0)) == pytest.approx(0.5)
    with torch.no_grad():
        weight.log_scale.fill_(math.log(3.0))
    assert float(weight(torch.tensor(4.0), 7).detach()) == pytest.approx(4 / 18 + math.log(3))


@pytest.mark.parametrize("loss", [0.01, 1.0, 9.0])
def test_a_learnt_scale_becomes_the_root_of_the_loss(loss: float) -> None:
    """Where the derivative is zero: -L / s^2 + 1 = 0."""
    weight = Learned()
    optimizer = torch.optim.Adam(weight.parameters(), lr=0.05)
    for step in range(600):
        optimizer.zero_grad()
        weight(torch.tensor(loss), step).backward()
        optimizer.step()
    assert math.exp(float(weight.log_scale)) == pytest.approx(math.sqrt(loss), rel=0.01)


def test_values_that_do_not_fit() -> None:
    with pytest.raises(UserError, match=r"task\.objective: every=0: must be at least 1"):
        InSteps(every=0)
    with pytest.raises(UserError, match=r"task\.objective: steps=0: must be at least 1"):
        Linear(steps=0)
    with pytest.raises(UserError, match=r"task\.objective: start=0: must be above 0"):
        Learned(start=0)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_value_per_image_is_the_mean_over_pixels(dims: int) -> None:
    logits = torch.randn(2, 3, *(4, 6, 5)[:dims], generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.tensor([[1, 0, 1], [0, 0, 255]], dtype=torch.uint8).reshape(2, 3, *(1,) * dims)
    objective = Objective({"presence": Part(BinaryCrossEntropy(), per_image=True)})
    loss, _ = objective({"presence": logits}, {"presence": target})
    means = logits.flatten(2).mean(dim=2)
    known = (target != 255).reshape(2, 3)
    expected = nn.functional.binary_cross_entropy_with_logits(means[known], target.reshape(2, 3)[known].float())
    torch.testing.assert_close(loss, expected)


def test_learnt_and_falling_weights_are_in_the_curves_and_in_the_checkpoint(tmp_path: Path) -> None:
    learned = "{_target_: segbench.training.loss_weights.Learned, start: 1.0}"
    falling = "{_target_: segbench.training.loss_weights.InSteps, start: 1.0, factor: 0.5, every: 2, least: 0.0}"
    run = execute(
        tmp_path / "run", "task=mask_and_presence", f"task.objective.mask.weight={learned}",
        f"task.objective.presence.weight={falling}", "trainer.max_steps=4", "trainer.log_every=1", "optimizer.lr=0.1",
    )  # fmt: skip
    curves = pd.read_csv(run.path / "metrics.csv")
    assert curves["train/weight_presence"].dropna().tolist() == [1.0, 1.0, 0.5, 0.5]
    weights = curves["train/weight_mask"].dropna().tolist()
    assert weights[0] == pytest.approx(1.0)
    assert len(set(weights)) == 4
    assert curves["train/loss_presence"].notna().any()
