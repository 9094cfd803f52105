"""Optimizers and learning-rate schedules of conf/, against their formulas, and resumed."""

import math
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

CONF = Path(__file__).parents[2] / "conf"
OPTIMIZERS = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
SCHEDULERS = sorted(path.stem for path in (CONF / "scheduler").glob("*.yaml"))
STEPS = 50


@pytest.fixture(scope="module")
def build():
    """Builds an optimizer of learning rate 1 for one weight, and its scheduler."""
    with initialize_config_dir(str(CONF), version_base=None):

        def from_yaml(scheduler, *overrides, optimizer="sgd_momentum"):
            groups = [f"+scheduler={scheduler}", f"+optimizer={optimizer}", "optimizer.lr=1"]
            config = compose(overrides=[*groups, f"+trainer.max_steps={STEPS}", "+measured.score_mode=max", *overrides])
            built = instantiate(config, _convert_="all")
            optimizer = built["optimizer"]([nn.Parameter(torch.ones(1))])
            return optimizer, built["scheduler"](optimizer)

        yield from_yaml


def step(optimizer, scheduler, score=0.5):
    """One training step; returns the learning rate that it was made with."""
    rate = optimizer.param_groups[0]["lr"]
    optimizer.param_groups[0]["params"][0].grad = torch.ones(1)
    optimizer.step()
    scheduler.step(score) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
    return rate


def poly(t):
    return (1 - t / STEPS) ** 0.9


def cosine(t):
    return (1 + math.cos(math.pi * t / STEPS)) / 2


def rise(t):
    return min(1.0, 0.01 + 0.99 * t / 10)


@pytest.mark.parametrize(
    ("name", "overrides", "formula"),
    [
        ("constant", [], lambda t: 1),
        ("poly", [], poly),
        ("cosine", [], cosine),
        ("warmup", ["scheduler.steps=10"], lambda t: rise(t) * poly(t)),
        ("warmup", ["scheduler.steps=10", "scheduler@scheduler.after=cosine"], lambda t: rise(t) * cosine(t)),
        ("warmup", ["scheduler.steps=10", "scheduler@scheduler.after=constant"], rise),
    ],
)
def test_schedules_follow_their_formulas(build, name, overrides, formula):
    optimizer, scheduler = build(name, *overrides)
    rates = [step(optimizer, scheduler) for _ in range(STEPS)]
    assert rates == pytest.approx([formula(t) for t in range(STEPS)], abs=1e-6)
    if name in ("poly", "cosine"):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_plateau_waits_for_a_higher_score(build):
    optimizer, scheduler = build("plateau", "scheduler.patience=2")
    rates = [step(optimizer, scheduler, score) for score in [0.5, 0.6, 0.6, 0.55, 0.6, 0.7, 0.7]]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.2, 0.2])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_resumed_is_the_same(build, name, optimizer):
    whole = build(name, optimizer=optimizer)
    scores = [0.1] * STEPS
    expected = [step(*whole, score) for score in scores]
    half = build(name, optimizer=optimizer)
    rates = [step(*half, score) for score in scores[:23]]
    rest = build(name, optimizer=optimizer)
    rest[0].param_groups[0]["params"][0].data.copy_(half[0].param_groups[0]["params"][0].data)
    for new, old in zip(rest, half, strict=True):
        new.load_state_dict(old.state_dict())
    rates += [step(*rest, score) for score in scores[23:]]
    assert rates == expected
    weights = [optimizer.param_groups[0]["params"][0] for optimizer, _ in (whole, rest)]
    assert torch.equal(*weights)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_only_plateau_is_stepped_by_score(build, name):
    """A training loop knows by its class that it has to be given the score."""
    _, scheduler = build(name)
    assert isinstance(scheduler, ReduceLROnPlateau) == (name == "plateau")
