"""What every loss of conf/loss owes: empty masks, ignored pixels, gradients, any logits."""

import pytest
import torch

from segbench.training.objective import Objective, Part
from tests.losses.draws import CLASSES, NAMES, certain, draw, soft_overlap

OVERLAPS = ["dice", "dice_squared", "jaccard", "tversky", "log_dice", "exponential_log_dice", "focal_tversky"]
BOUNDARIES = ["boundary", "dice_boundary"]
SINGLE = ["dice_focal", "focal", "lovasz"]
"""Losses whose library computes in float32 whatever it is given."""


# Empty masks and ignored pixels


@pytest.mark.parametrize("name", OVERLAPS)
def test_class_that_both_lack_is_perfect(build, name):
    target = torch.zeros(2, 6, 5, dtype=torch.long)
    logits = torch.full((2, CLASSES, 6, 5), -100.0)
    logits[:, 0] = 100
    assert build(name, "include_background=false")(logits, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["dice", "dice_squared", "jaccard", "tversky", "focal_tversky"])
def test_class_that_only_the_prediction_has_is_all_wrong(build, name):
    target = torch.zeros(2, 6, 5, dtype=torch.long)
    logits = torch.zeros(2, CLASSES, 6, 5)
    assert build(name, "include_background=false")(logits, target).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["log_dice", "exponential_log_dice", "log1m_dice", "boundary"])
def test_class_that_the_reference_lacks_is_left_out(build, name):
    target = torch.zeros(2, 6, 5, dtype=torch.long)
    logits = torch.randn(2, CLASSES, 6, 5, requires_grad=True)
    loss = build(name, "include_background=false")(logits, target)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_class_that_both_lack_plays_no_part(build, name):
    logits, target = draw(2, 6, 5)
    more = torch.cat([logits, torch.full_like(logits[:, :1], -100)], dim=1)
    torch.testing.assert_close(build(name)(more, target), build(name)(logits, target))


def test_binary_cross_entropy_learns_that_a_class_is_absent(build):
    """Its pixels count as those of any class: -ln(1 - p) each, and one class more in the mean."""
    logits, target = draw(2, 6, 5)
    more = torch.cat([logits, torch.full_like(logits[:, :1], 0.5)], dim=1)
    absent = -torch.log(1 - torch.tensor(0.5).sigmoid())
    expected = (CLASSES * build("bce")(logits, target) + absent) / (CLASSES + 1)
    torch.testing.assert_close(build("bce")(more, target), expected)


def test_weighted_cross_entropy_of_a_batch_without_a_class_is_that_of_the_others(build):
    logits, target = draw(2, 6, 5)
    target[target == 2] = 0
    weight = torch.tensor([1 / 0.5, 1 / 0.3, 1 / 0.2])
    expected = torch.nn.functional.cross_entropy(logits, target, weight=weight)
    torch.testing.assert_close(build("weighted_cross_entropy")(logits, target), expected)


def test_generalized_dice_leaves_out_classes_without_pixels(build):
    logits, _ = draw(2, 6, 5)
    target = torch.arange(60).reshape(2, 6, 5) % 2
    tp, fp, fn = (part[:2] for part in soft_overlap(logits, target))
    weight = 1 / (tp + fn) ** 2
    expected = 1 - (2 * weight * tp).sum() / (weight * (2 * tp + fp + fn)).sum()
    assert build("generalized_dice")(logits, target).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BOUNDARIES])
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


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SINGLE])
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
    logits = certain(target, sign * scale).requires_grad_()
    loss = build(name)(logits, target)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_no_logits_in_half_precision_break_it(build, name):
    """Drawn small, large and mixed, rounded to bfloat16, with classes and samples that are empty."""
    objective = Objective({"mask": Part(build(name))})
    generator = torch.Generator().manual_seed(0)
    for trial in range(60):
        scale = 10 ** (torch.rand(2, CLASSES, 1, 1, generator=generator) * 12 - 6)
        logits = (scale * torch.randn(2, CLASSES, 5, 4, generator=generator)).bfloat16().requires_grad_()
        target = torch.randint(1 + trial % CLASSES, (2, 5, 4), generator=generator)
        target[:, : trial % 5] = 255
        target[trial % 2, 4] = 255
        loss, _ = objective({"mask": logits}, {"mask": target})
        loss.backward()
        assert loss.isfinite(), trial
        assert logits.grad.isfinite().all(), trial


@pytest.mark.parametrize("name", NAMES)
def test_patches_with_one_class_each(build, name):
    """Logits (B, K, 1, 1), as classifiers of a patch's centre have; distances to a boundary there are none."""
    logits, target = draw(6, 1, 1)
    target[1] = 255
    logits.requires_grad_()
    loss = build(name)(logits, target)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert (logits.grad != 0).any() == (name != "boundary")
    assert (logits.grad[1] == 0).all()
