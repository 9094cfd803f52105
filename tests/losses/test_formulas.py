"""Losses of conf/loss against worked numbers, other implementations and identities."""

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from monai.losses import DiceLoss, GeneralizedDiceLoss, TverskyLoss
from torch.nn import functional as F

from segbench.losses.cross_entropy import CrossEntropy
from tests.losses.draws import CLASSES, NAMES, certain, draw, probabilities, soft_overlap

GOLDEN_P = [0.9, 0.6, 0.3, 0.2, 0.1, 0.4, 0.05, 0.7]
GOLDEN_G = [1, 1, 1, 0, 0, 0, 0, 0]
PERFECT = {"log1m_dice": np.log(1e-5), "boundary": None, "dice_boundary": None}
"""The loss of a perfect prediction where it is not 0; None: it depends on the reference."""


@pytest.fixture
def golden():
    """Two classes with the logits 0 and z, so that softmax gives the foreground p."""
    z = torch.logit(torch.tensor(GOLDEN_P))
    return torch.stack([torch.zeros_like(z), z])[None], torch.tensor(GOLDEN_G)[None]


@pytest.mark.parametrize(
    ("name", "overrides", "value"),
    [
        ("cross_entropy", [], 0.4893),
        ("focal", [], 0.1693),
        ("focal", ["alpha=0.25"], 0.0849),
        ("dice", ["include_background=false"], 0.4240),
        ("dice", ["include_background=false", "squared_pred=true"], 0.2746),
        ("generalized_dice", [], 0.3693),
        ("tversky", ["include_background=false"], 0.4146),
        ("tversky", ["include_background=false", "alpha=0.7", "beta=0.3"], 0.4331),
        ("tversky", ["include_background=false", "alpha=0.5", "beta=0.5"], 0.4240),
        ("tversky", ["include_background=false", "alpha=1", "beta=1"], 0.5955),
        ("focal_tversky", ["include_background=false"], 0.5167),
        ("log_dice", ["include_background=false"], 0.5516),
        ("dice_squared", ["include_background=false"], 0.2746),
        ("jaccard", ["include_background=false"], 0.5955),
        ("log_dice", ["include_background=false", "exponent=0.3"], 0.8366),
        ("exponential_log_dice", ["include_background=false"], 0.8366),
        ("log1m_dice", ["include_background=false"], np.log(0.4240)),
        ("dice_focal", ["terms.dice.loss.include_background=false"], 0.4240 + 0.1693),
        ("dice_ce", [], 0.4893 + 0.4240),
        ("dice_ce", ["terms.dice.weight=3"], 0.4893 + 3 * 0.4240),
    ],
)
def test_worked_example(build, golden, name, overrides, value):
    assert build(name, *overrides)(*golden).item() == pytest.approx(value, abs=6e-5)


def test_worked_example_of_binary_cross_entropy(build, golden):
    logits, target = golden
    assert build("bce")(torch.stack([-logits[:, 1], logits[:, 1]], dim=1), target).item() == pytest.approx(
        0.4893, abs=6e-5
    )


# Against other implementations, for images and volumes


@pytest.mark.parametrize("size", [(3, 6, 5), (2, 4, 3, 5)])
def test_overlap_losses_follow_their_formulas(build, size):
    logits, target = draw(*size)
    tp, fp, fn = soft_overlap(logits, target)
    dice = 2 * tp / (2 * tp + fp + fn)
    index = tp / (tp + 0.3 * fp + 0.7 * fn)
    pixels = tp + fn
    expected = {
        "dice": (1 - dice).mean(),
        "tversky": (1 - index).mean(),
        "focal_tversky": ((1 - index) ** 0.75).mean(),
        "log_dice": -np.log(dice).mean(),
        "exponential_log_dice": ((-np.log(dice)) ** 0.3).mean(),
        "log1m_dice": np.log(1 - dice + 1e-5).mean(),
        "jaccard": (1 - tp / (tp + fp + fn)).mean(),
        "generalized_dice": 1 - (2 * tp / pixels**2).sum() / ((2 * tp + fp + fn) / pixels**2).sum(),
    }
    for name, value in expected.items():
        assert build(name)(logits, target).item() == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("background", [True, False])
def test_settings_mean_what_they_mean_to_monai(build, batch, background):
    logits, target = draw(2, 6, 5)
    settings = {"include_background": background, "batch": batch, "softmax": True, "to_onehot_y": True}
    ours = [f"include_background={background}", f"batch={batch}"]
    per_class = {"reduction": "none", **settings}
    dice = DiceLoss(**per_class)(logits, target[:, None])
    tversky = TverskyLoss(alpha=0.3, beta=0.7, **per_class)(logits, target[:, None])
    generalized = GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0, **settings)(logits, target[:, None])
    for name, expected in {
        "log_dice": -(1 - dice).log().mean(),
        "focal_tversky": (tversky**0.75).mean(),
        "generalized_dice": generalized,
    }.items():
        torch.testing.assert_close(build(name, *ours)(logits, target), expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("size", [(3, 6, 5), (2, 4, 3, 5)])
def test_losses_of_pixels_follow_their_formulas(build, size):
    logits, target = draw(*size)
    g = np.stack([target.numpy() == c for c in range(CLASSES)], axis=1)
    p, own = probabilities(logits), 1 / (1 + np.exp(-logits.double().numpy()))
    true = (p * g).sum(1)
    squares = (p**2).sum((0, *range(2, p.ndim))) + g.sum((0, *range(2, p.ndim)))
    expected = {
        "cross_entropy": -np.log(true).mean(),
        "bce": -np.where(g, np.log(own), np.log(1 - own)).mean(),
        "focal": (-((1 - true) ** 2) * np.log(true)).mean(),
        "dice_squared": (1 - 2 * soft_overlap(logits, target)[0] / squares).mean(),
    }
    for name, value in expected.items():
        assert build(name)(logits, target).item() == pytest.approx(value, abs=1e-5), name


def lovasz(logits, target):
    """By its definition, term by term: sorted errors times the rise of the Jaccard loss of the worst k pixels."""
    losses = []
    for c, p in enumerate(np.moveaxis(probabilities(logits), 1, 0).reshape(logits.shape[1], -1)):
        g = target.numpy().ravel() == c
        if not g.any():
            continue
        errors = np.abs(g - p)
        order = np.argsort(-errors)
        total, before = 0.0, 0.0
        for k in range(len(order)):
            wrong = np.isin(np.arange(len(g)), order[: k + 1])
            jaccard = 1 - (g & ~wrong).sum() / (g | wrong).sum()
            total += errors[order[k]] * (jaccard - before)
            before = jaccard
        losses.append(total)
    return np.mean(losses)


@pytest.mark.parametrize("classes", [CLASSES, CLASSES + 1])
def test_lovasz_follows_its_definition(build, classes):
    """The last class is in no reference: it is left out."""
    logits, target = draw(2, 4, 3, classes=classes)
    target[target == CLASSES] = 0
    assert build("lovasz")(logits, target).item() == pytest.approx(lovasz(logits, target), abs=1e-5)


def test_lovasz_of_certain_predictions_is_the_jaccard_loss(build):
    _, target = draw(2, 6, 5)
    logits = certain(draw(2, 6, 5, seed=1)[1])
    tp, fp, fn = soft_overlap(logits, target)
    assert build("lovasz")(logits, target).item() == pytest.approx(np.mean(1 - tp / (tp + fp + fn)), abs=1e-5)


def test_gradient_of_lovasz(build):
    """The library's class computes in float32, too coarse for finite differences; the definition does not."""
    logits, target = draw(2, 3, 2)
    logits.requires_grad_()
    build("lovasz")(logits, target).backward()
    flat = logits.detach().double().view(-1)
    for index in range(0, flat.numel(), 5):
        step = torch.zeros_like(flat)
        step[index] = 1e-5
        high, low = (lovasz((flat + sign * step).view(logits.shape), target) for sign in (1, -1))
        assert logits.grad.view(-1)[index].item() == pytest.approx((high - low) / 2e-5, abs=1e-5)


def test_cross_entropy_is_torchs():
    logits, target = draw(2, 6, 5)
    target[0, :3] = 255
    expected = F.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(CrossEntropy()(logits, target), expected)


@pytest.mark.parametrize("classes", [CLASSES, CLASSES + 1])
def test_log_dice_is_that_of_segmentation_models_pytorch(build, classes):
    """With a class that the reference lacks, too."""
    logits, target = draw(2, 6, 5)
    logits = torch.cat([logits, draw(2, 6, 5, seed=1)[0]], dim=1)[:, :classes]
    target[0, 2:4] = 255
    theirs = smp.losses.DiceLoss("multiclass", log_loss=True, ignore_index=255)
    torch.testing.assert_close(build("log_dice")(logits, target), theirs(logits, target), rtol=1e-5, atol=1e-5)


# Identities


@pytest.mark.parametrize("size", [(2, 7, 5), (2, 4, 3, 5)])
def test_identities(build, size):
    x = draw(*size)
    same = torch.testing.assert_close
    same(build("tversky", "alpha=0.5", "beta=0.5")(*x), build("dice")(*x), rtol=1e-5, atol=1e-5)
    same(build("tversky", "alpha=1", "beta=1")(*x), build("jaccard")(*x), rtol=1e-5, atol=1e-5)
    same(build("focal_tversky", "gamma=1")(*x), build("tversky")(*x), rtol=1e-5, atol=1e-5)
    same(build("focal", "gamma=0")(*x), build("cross_entropy")(*x))
    same(build("exponential_log_dice", "exponent=1")(*x), build("log_dice")(*x))
    parts = build("cross_entropy")(*x) + build("dice", "include_background=false")(*x)
    same(build("dice_ce")(*x), parts)


def test_focal_with_gamma_0_is_cross_entropy_with_ignored_pixels_too(build):
    logits, target = draw(2, 7, 5)
    target[:, 2:4] = 255
    torch.testing.assert_close(build("focal", "gamma=0")(logits, target), build("cross_entropy")(logits, target))


def test_generalized_dice_of_equal_classes_is_dice_of_all_pixels(build):
    logits, _ = draw(2, 6, 3)
    target = torch.arange(36).reshape(2, 6, 3) % CLASSES
    tp, fp, fn = (part.sum() for part in soft_overlap(logits, target))
    assert build("generalized_dice")(logits, target).item() == pytest.approx(1 - 2 * tp / (2 * tp + fp + fn))


def test_generalized_dice_does_not_depend_on_the_size_of_the_image(build):
    """Its weights are tiny in large images; what is added for empty ones must be small beside them."""
    logits, target = draw(1, 8, 8)
    large = logits.repeat(1, 1, 64, 64), target.repeat(1, 64, 64)
    torch.testing.assert_close(
        build("generalized_dice")(*large), build("generalized_dice")(logits, target), rtol=1e-4, atol=1e-6
    )


def test_two_channels_are_one_sigmoid(build):
    z = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    target = (z + torch.randn(z.shape, generator=torch.Generator().manual_seed(1)) > 0).long()
    logits = torch.stack([torch.zeros_like(z), z], dim=1)
    p, g = z.sigmoid(), target.float()
    torch.testing.assert_close(build("cross_entropy")(logits, target), F.binary_cross_entropy_with_logits(z, g))
    dice = 1 - 2 * (p * g).sum() / (p.sum() + g.sum())
    torch.testing.assert_close(build("dice", "include_background=false")(logits, target), dice)


@pytest.mark.parametrize("name", NAMES)
def test_perfect_prediction_is_the_least(build, name):
    _, target = draw(2, 6, 5)
    loss = build(name)
    best = loss(certain(target), target).item()
    if PERFECT.get(name, 0.0) is not None:
        assert best == pytest.approx(PERFECT.get(name, 0.0), abs=1e-5)
    for seed in range(3):
        assert loss(draw(2, 6, 5, seed=seed)[0], target).item() > best


@pytest.mark.parametrize(
    "name", ["dice", "dice_squared", "jaccard", "tversky", "focal_tversky", "generalized_dice", "lovasz"]
)
def test_disjoint_prediction_is_1(build, name):
    _, target = draw(2, 6, 5)
    assert build(name)(certain((target + 1) % CLASSES), target).item() == pytest.approx(1, abs=1e-4)


def test_squared_dice_of_certain_predictions_is_dice(build):
    _, target = draw(2, 6, 5)
    logits = certain(draw(2, 6, 5, seed=1)[1])
    torch.testing.assert_close(build("dice_squared")(logits, target), build("dice")(logits, target))
