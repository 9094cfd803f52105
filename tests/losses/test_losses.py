"""Every loss of conf/loss: worked numbers, identities, ignored pixels, gradients."""

from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from monai.losses import DiceLoss, GeneralizedDiceLoss, TverskyLoss
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.losses.cross_entropy import CrossEntropy, WeightedCrossEntropy

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))
OVERLAPS = ["dice", "tversky", "log_dice", "focal_tversky"]
CLASSES = 3

GOLDEN_P = [0.9, 0.6, 0.3, 0.2, 0.1, 0.4, 0.05, 0.7]
GOLDEN_G = [1, 1, 1, 0, 0, 0, 0, 0]


@pytest.fixture(scope="module")
def build():
    """Builds a loss of conf/loss: the name, and overrides without the leading `loss.`."""
    with initialize_config_dir(str(CONF), version_base=None):

        def from_yaml(name, *overrides):
            given = ["+measured.class_frequencies=[0.5,0.3,0.2]", *(f"++loss.{value}" for value in overrides)]
            return instantiate(compose(overrides=[f"+loss={name}", *given]), _convert_="all")["loss"]

        yield from_yaml


@pytest.fixture
def golden():
    """Two classes with the logits 0 and z, so that softmax gives the foreground p."""
    z = torch.logit(torch.tensor(GOLDEN_P))
    return torch.stack([torch.zeros_like(z), z])[None], torch.tensor(GOLDEN_G)[None]


def draw(*size, seed=0, classes=CLASSES, dtype=torch.float32):
    """Random logits (B, K, *P) and a target that has every class."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size[0], classes, *size[1:], generator=generator, dtype=dtype)
    target = torch.randint(classes, size, generator=generator)
    target.view(-1)[:classes] = torch.arange(classes)
    return logits, target


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
        ("dice_ce", [], 0.4893 + 0.4240),
        ("dice_ce", ["terms.dice.weight=3"], 0.4893 + 3 * 0.4240),
    ],
)
def test_worked_example(build, golden, name, overrides, value):
    assert build(name, *overrides)(*golden).item() == pytest.approx(value, abs=6e-5)


def test_class_weights_worked_example():
    loss = WeightedCrossEntropy([5 / 8, 3 / 8])
    assert loss.weights.tolist() == pytest.approx([0.8, 1.3333], abs=1e-4)


def test_class_weights_follow_torch_and_only_their_ratio_counts():
    logits, target = draw(2, 5, 4)
    expected = F.cross_entropy(logits, target, torch.tensor([1.0, 1.25, 2.0]))
    for scale in (1, 1000):
        loss = WeightedCrossEntropy([scale * 0.5, scale * 0.4, scale * 0.25])
        torch.testing.assert_close(loss(logits, target), expected)


def test_a_class_without_pixels_has_no_weight():
    with pytest.raises(UserError, match=r"loss.class_frequencies: no training case has the class 1, hence"):
        WeightedCrossEntropy([0.5, 0.0, 0.5])


def test_class_weights_are_no_part_of_a_checkpoint():
    assert not WeightedCrossEntropy([0.5, 0.5]).state_dict()


# Against other implementations, for images and volumes


def soft_overlap(logits, target):
    """True positives, false positives and false negatives of each class, in numpy."""
    z = np.exp(logits.double().numpy())
    p = z / z.sum(axis=1, keepdims=True)
    p = np.moveaxis(p, 1, 0).reshape(logits.shape[1], -1)
    g = np.stack([target.numpy().ravel() == c for c in range(logits.shape[1])])
    return (p * g).sum(1), (p * ~g).sum(1), ((1 - p) * g).sum(1)


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
    same(build("tversky", "alpha=1", "beta=1")(*x), build("dice", "jaccard=true")(*x), rtol=1e-5, atol=1e-5)
    same(build("focal_tversky", "gamma=1")(*x), build("tversky")(*x), rtol=1e-5, atol=1e-5)
    same(build("focal", "gamma=0")(*x), build("cross_entropy")(*x))
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
def test_perfect_prediction_is_0(build, name):
    _, target = draw(2, 6, 5)
    perfect = 100 * F.one_hot(target, CLASSES).movedim(-1, 1).float()
    assert build(name)(perfect, target).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky", "generalized_dice"])
def test_disjoint_prediction_is_1(build, name):
    _, target = draw(2, 6, 5)
    wrong = 100 * F.one_hot((target + 1) % CLASSES, CLASSES).movedim(-1, 1).float()
    assert build(name)(wrong, target).item() == pytest.approx(1, abs=1e-4)


# Empty masks and ignored pixels


@pytest.mark.parametrize("name", OVERLAPS)
def test_class_that_both_lack_is_perfect(build, name):
    target = torch.zeros(2, 6, 5, dtype=torch.long)
    logits = torch.full((2, CLASSES, 6, 5), -100.0)
    logits[:, 0] = 100
    assert build(name, "include_background=false")(logits, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky"])
def test_class_that_only_the_prediction_has_is_all_wrong(build, name):
    target = torch.zeros(2, 6, 5, dtype=torch.long)
    logits = torch.zeros(2, CLASSES, 6, 5)
    assert build(name, "include_background=false")(logits, target).item() == pytest.approx(1, abs=1e-4)


def test_generalized_dice_leaves_out_classes_without_pixels(build):
    logits, _ = draw(2, 6, 5)
    target = torch.arange(60).reshape(2, 6, 5) % 2
    tp, fp, fn = (part[:2] for part in soft_overlap(logits, target))
    weight = 1 / (tp + fn) ** 2
    expected = 1 - (2 * weight * tp).sum() / (weight * (2 * tp + fp + fn)).sum()
    assert build("generalized_dice")(logits, target).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(2, 6, 5), (2, 4, 3, 5)])
def test_ignored_pixels_count_as_cut_out(build, name, size):
    logits, target = draw(*size)
    kept = torch.rand(size, generator=torch.Generator().manual_seed(3)) > 0.4
    cut = logits.movedim(1, -1)[kept].T[None, :, :, None], target[kept][None, :, None]
    loss = build(name)
    torch.testing.assert_close(loss(logits, target.where(kept, 255)), loss(*cut), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_ignored_pixels_have_no_gradient(build, name):
    logits, target = draw(2, 6, 5)
    target[0, :4] = 255
    logits.requires_grad_()
    build(name)(logits, target).backward()
    assert (logits.grad[0, :, :4] == 0).all()
    assert (logits.grad[1] != 0).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(2, 6, 5), (2, 4, 3, 5)])
def test_batch_of_ignored_pixels_only(build, name, size):
    logits, _ = draw(*size)
    logits.requires_grad_()
    loss = build(name)(logits, torch.full(size, 255))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert (logits.grad == 0).all()


# Gradients


@pytest.mark.parametrize("name", [name for name in NAMES if name != "focal"])
def test_gradient_by_finite_differences(build, name):
    logits, target = draw(2, 3, 3, dtype=torch.float64)
    target[0, 2] = 255
    loss = build(name).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_())


def test_gradient_of_focal_loss(build):
    """MONAI's class computes in float32, too coarse for finite differences; the formula here does not."""
    logits, target = draw(2, 6, 5)
    ours, reference = logits.clone().requires_grad_(), logits.double().requires_grad_()
    build("focal")(ours, target).backward()
    p = reference.softmax(1).gather(1, target[:, None])
    (-((1 - p) ** 2) * p.log()).mean().backward()
    torch.testing.assert_close(ours.grad.double(), reference.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_logits_are_finite(build, name, scale, sign):
    """Right and wrong beyond doubt: p is exactly 0 or 1 in float32."""
    _, target = draw(2, 6, 5)
    logits = sign * scale * F.one_hot(target, CLASSES).movedim(-1, 1).float()
    logits.requires_grad_()
    loss = build(name)(logits, target)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
