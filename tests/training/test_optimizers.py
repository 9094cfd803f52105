"""Adam that hands over to SGD, against both; the L2 penalty of SGD."""

import io

import pytest
import torch
from hydra.utils import instantiate
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, PolynomialLR, ReduceLROnPlateau

from segbench.training.module import WatchesGap
from segbench.training.optimizers import AdamThenSGD
from tests.made_runs import configure

STEPS = 12
SETTINGS = {"lr": 0.01, "sgd_lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}
BATCHES = torch.randn(STEPS, 6, 4, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))


def train(model, optimizer, steps, scheduler=None):
    """Some steps; the optimizer is a normal one, with a closure or without, and gradients clipped."""
    for step in steps:
        optimizer.zero_grad()
        model(BATCHES[step]).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("nesterov", [False, True])
def test_it_is_adam_and_then_sgd(nesterov):
    model, reference = network(), network()
    optimizer = AdamThenSGD(model.parameters(), switch_step=5, nesterov=nesterov, **SETTINGS)
    train(reference, Adam(reference.parameters(), lr=0.01, weight_decay=0.05), range(5))
    train(model, optimizer, range(5))
    assert torch.equal(weights(model), weights(reference))
    sgd = SGD(reference.parameters(), lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=nesterov)
    train(reference, sgd, range(5, STEPS))
    train(model, optimizer, range(5, STEPS))
    torch.testing.assert_close(weights(model), weights(reference), rtol=1e-6, atol=1e-7)
    kept = {name for state in optimizer.state.values() for name in state}
    assert kept == {"momentum_buffer"}, "Adam's moments are freed"


def test_a_closure_is_called_once_and_its_loss_returned():
    model, other = network(), network()
    optimizer, plain = (AdamThenSGD(one.parameters(), switch_step=2, **SETTINGS) for one in (model, other))
    calls = []

    def closure():
        calls.append(1)
        optimizer.zero_grad()
        loss = model(BATCHES[len(calls) - 1]).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        return loss

    losses = [optimizer.step(closure) for _ in range(4)]
    assert len(calls) == 4
    assert all(loss > 0 for loss in losses)
    train(other, plain, range(4))
    assert torch.equal(weights(model), weights(other))


@pytest.mark.parametrize("interrupted", [1, 4, 5, 6, 9])
@pytest.mark.parametrize("by", ["step", "gap"])
def test_a_resumed_run_is_the_same_to_the_bit(interrupted, by):
    """Before the switch at step 5, at it and after it; by the gap with a validation after every step."""

    def make(model):
        when = {"switch_step": 5} if by == "step" else {"gap": 0.1, "patience": 3}
        optimizer = AdamThenSGD(model.parameters(), **SETTINGS, **when)
        return optimizer, PolynomialLR(optimizer, STEPS)

    def go(model, optimizer, scheduler, steps):
        for step in steps:
            train(model, optimizer, [step], scheduler)
            optimizer.after_validation(0.2 if step >= 2 else 0.05)

    whole = network()
    parts = make(whole)
    go(whole, *parts, range(STEPS))
    assert parts[0].switched

    first = network()
    before = make(first)
    go(first, *before, range(interrupted))
    file = io.BytesIO()
    torch.save([one.state_dict() for one in (first, *before)], file)
    file.seek(0)
    second = network()
    after = make(second)
    for one, state in zip((second, *after), torch.load(file, weights_only=True), strict=True):
        one.load_state_dict(state)
    go(second, *after, range(interrupted, STEPS))
    assert torch.equal(weights(second), weights(whole))
    assert after[0].steps == STEPS


@pytest.mark.parametrize(
    "make",
    [
        lambda o: PolynomialLR(o, STEPS, power=0.9),
        lambda o: CosineAnnealingLR(o, STEPS),
        lambda o: LambdaLR(o, lambda t: 1 / (1 + t)),
    ],
)
def test_schedules_go_on_in_proportion(make):
    """Without momentum and decay a step is the gradient times the rate: the rate is read off it."""
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = AdamThenSGD([parameter], lr=0.01, sgd_lr=0.5, momentum=0, switch_step=4)
    alone = SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    schedulers = make(optimizer), make(alone)
    for step in range(STEPS):
        before = parameter.item()
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        if step >= 4:
            assert before - parameter.item() == pytest.approx(alone.param_groups[0]["lr"])
        alone.step()
        for scheduler in schedulers:
            scheduler.step()


def test_a_plateau_schedule_goes_on_in_proportion():
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = AdamThenSGD([parameter], lr=0.01, sgd_lr=0.5, momentum=0, switch_step=1)
    scheduler = ReduceLROnPlateau(optimizer, mode="max", factor=0.2, patience=0)
    moves = []
    for score in (0.5, 0.4, 0.6):
        before = parameter.item()
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        moves.append(before - parameter.item())
        scheduler.step(score)
    assert moves[1:] == pytest.approx([0.5, 0.1])


def test_the_gap_has_to_stay_open():
    optimizer = AdamThenSGD(network().parameters(), gap=0.1, patience=2)
    assert isinstance(optimizer, WatchesGap)
    for gap, expected in [(0.2, False), (0.1, False), (0.11, False), (0.5, True), (0.0, True)]:
        optimizer.after_validation(gap)
        assert optimizer.switched == expected, gap


def test_without_a_gap_to_wait_for_validations_change_nothing():
    optimizer = AdamThenSGD(network().parameters(), switch_step=10)
    optimizer.after_validation(1.0)
    assert not optimizer.switched


def test_groups_keep_their_own_rates():
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.002}, {"params": model[2].parameters()}]
    optimizer = AdamThenSGD(groups, lr=0.01, sgd_lr=0.1, momentum=0, switch_step=0)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train(model, optimizer, [0])
    moved = [(old - new.detach()) / new.grad for old, new in zip(before, model.parameters(), strict=True)]
    for ratio, rate in zip(moved, (0.02, 0.02, 0.1, 0.1), strict=True):
        torch.testing.assert_close(ratio, torch.full_like(ratio, rate), rtol=1e-3, atol=1e-4)


def test_it_works_with_scaled_gradients():
    model, reference = network(), network()
    optimizer, plain = (AdamThenSGD(one.parameters(), switch_step=3, **SETTINGS) for one in (model, reference))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(6):
        optimizer.zero_grad()
        scaler.scale(model(BATCHES[step]).square().mean()).backward()
        if step == 4:  # an overflow: this step is not made
            model[0].weight.grad.fill_(torch.inf)
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
    train(reference, plain, [0, 1, 2, 3, 5])
    assert optimizer.steps == 5
    torch.testing.assert_close(weights(model), weights(reference), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing would switch from Adam to SGD: set switch_step or gap"),
        ({"gap": 0.1, "lr": 0.0}, "lr=0.0: must be above 0"),
        ({"gap": 0.1, "patience": 0}, "patience=0: must be at least 1"),
        ({"gap": 0.1, "betas": (0.9, 1.0)}, "beta"),
        ({"gap": 0.1, "nesterov": True, "momentum": 0.0}, "momentum"),
    ],
)
def test_impossible_values(settings, message):
    with pytest.raises(ValueError, match=message):
        AdamThenSGD(network().parameters(), **settings)


@pytest.mark.parametrize("name", ["sgd", "sgd_momentum", "sgd_nesterov"])
def test_weight_decay_of_sgd_is_an_l2_penalty(name):
    """weight_decay / 2 times the sum of squares, added to the loss."""
    node = configure(f"optimizer={name}", "optimizer.weight_decay=0.3", "optimizer.lr=0.05").optimizer
    model, reference = network(), network()
    decaying = instantiate(node)(model.parameters())
    node.weight_decay = 0.0
    plain = instantiate(node)(reference.parameters())
    for step in range(STEPS):
        for one, optimizer, penalty in ((model, decaying, 0.0), (reference, plain, 0.15)):
            optimizer.zero_grad()
            squares = sum(parameter.square().sum() for parameter in one.parameters())
            (one(BATCHES[step]).square().mean() + penalty * squares).backward()
            optimizer.step()
    torch.testing.assert_close(weights(model), weights(reference), rtol=1e-4, atol=1e-6)


def test_momentum_and_nesterov_are_what_the_names_say():
    kinds = {name: instantiate(configure(f"optimizer={name}").optimizer)(network().parameters()).defaults
             for name in ("sgd", "sgd_momentum", "sgd_nesterov")}  # fmt: skip
    assert [(d["momentum"] > 0, d["nesterov"]) for d in kinds.values()] == [(False, False), (True, False), (True, True)]
