"""Weights of classes and of pixels, and sums of losses."""

import pytest
import torch
from torch.nn import functional as F

from segbench.data.class_balance import inverse_frequency, median_frequency, shares_where_present
from segbench.errors import UserError
from segbench.losses.cross_entropy import WeightedCrossEntropy
from segbench.losses.pixel_weight import takes_weight
from segbench.losses.weighted_sum import WeightedSum
from segbench.training.objective import Objective, Part
from tests.losses.draws import NAMES, draw

WEIGHTED = {"cross_entropy", "weighted_cross_entropy", "bce", "focal", "dice_ce", "dice_focal"}
PIXELWISE = ["cross_entropy", "weighted_cross_entropy", "bce", "focal"]


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
    with pytest.raises(UserError, match=r"class_frequencies: no training case has the class 1, hence"):
        WeightedCrossEntropy([0.5, 0.0, 0.5])


def test_class_weights_are_no_part_of_a_checkpoint():
    assert not WeightedCrossEntropy([0.5, 0.5]).state_dict()


def test_median_frequency_by_hand():
    """Shares 0.2, 0.3 and, in the only case that has it, 0.4: the median is 0.3."""
    shares = shares_where_present([(20, 20, 60), (20, 40, 0), (0, 60, 240)])
    assert shares == pytest.approx([40 / 160, 120 / 460, 300 / 400])
    assert median_frequency([0.2, 0.3, 0.4]) == pytest.approx([1.5, 1, 0.75])
    assert median_frequency([0.1, 0.4]) == pytest.approx([2.5, 0.625])


def test_median_frequency_of_classes_that_all_cases_have_is_in_proportion_to_inverse_frequency():
    pixels = [(50, 30, 20), (10, 70, 20)]
    where_present = shares_where_present(pixels)
    ratios = torch.tensor(median_frequency(where_present)) / torch.tensor(inverse_frequency([60, 100, 40]))
    torch.testing.assert_close(ratios, ratios[:1].expand(3))


def test_a_class_of_few_cases_is_not_taken_for_one_of_small_objects():
    assert shares_where_present([(50, 50), (100, 0), (100, 0)]) == pytest.approx([250 / 300, 0.5])
    assert shares_where_present([(50, 0)]) == [1.0, 0.0]


def test_balance_is_a_value(build):
    logits, target = draw(2, 5, 4)
    given = {"inverse": inverse_frequency([0.5, 0.3, 0.2]), "median": median_frequency([0.6, 0.3, 0.2])}
    for balance, weights in given.items():
        loss = build("weighted_cross_entropy", f"balance={balance}")
        torch.testing.assert_close(loss(logits, target), F.cross_entropy(logits, target, torch.tensor(weights)))
    with pytest.raises(UserError, match=r"loss.balance=mean: must be one of inverse, median"):
        WeightedCrossEntropy([0.5, 0.5], balance="mean")
    with pytest.raises(UserError, match=r"loss.balance=median: the class frequencies that it needs are not given"):
        WeightedCrossEntropy([0.5, 0.5], balance="median")


# Pixels


@pytest.mark.parametrize("name", PIXELWISE)
def test_a_pixel_of_weight_n_counts_as_n_pixels(build, name):
    logits, target = draw(2, 5, 4)
    target[0, :2] = 255
    weight = torch.randint(4, target.shape, generator=torch.Generator().manual_seed(1)).float()
    flat = logits.movedim(1, -1).reshape(-1, logits.shape[1]).repeat_interleave(weight.view(-1).long(), 0)
    repeated = flat.T[None, :, :, None], target.view(-1).repeat_interleave(weight.view(-1).long())[None, :, None]
    loss = build(name)
    torch.testing.assert_close(loss(logits, target, weight), loss(*repeated))


@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_only_the_ratios_of_weights_count(build, name):
    logits, target = draw(2, 5, 4)
    loss = build(name)
    weight = torch.rand(target.shape)
    torch.testing.assert_close(loss(logits, target, 7 * weight), loss(logits, target, weight))
    torch.testing.assert_close(loss(logits, target, torch.full(target.shape, 3.0)), loss(logits, target))


@pytest.mark.parametrize("name", PIXELWISE)
def test_weights_of_0_only_are_the_loss_0(build, name):
    logits, target = draw(2, 5, 4)
    logits.requires_grad_()
    loss = build(name)(logits, target, torch.zeros(target.shape))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_which_losses_take_weights(build, name):
    assert takes_weight(build(name)) == (name in WEIGHTED)


def test_a_function_of_torch_takes_no_weights_of_pixels():
    """Its parameter of that name is for classes."""
    assert not takes_weight(F.cross_entropy)


def test_a_sum_passes_the_weights_to_the_terms_that_take_them(build):
    logits, target = draw(2, 5, 4)
    weight = torch.rand(target.shape)
    dice = build("dice", "include_background=false")(logits, target)
    expected = build("cross_entropy")(logits, target, weight) + dice
    torch.testing.assert_close(build("dice_ce")(logits, target, weight), expected)
    objective = Objective({"mask": Part(build("dice_ce"))}, weighted=True)
    total, _ = objective({"mask": logits}, {"mask": target, "weight": weight})
    torch.testing.assert_close(total, expected)


# Sums


def test_a_sum_from_the_command_line(build):
    logits, target = draw(2, 5, 4)
    added = ("+loss@loss.terms.dice.loss=dice", "+loss@loss.terms.focal.loss=focal")
    loss = build("weighted_sum", *added, "terms.focal.weight=0.5", "terms.focal.loss.gamma=3")
    expected = build("dice")(logits, target) + 0.5 * build("focal", "gamma=3")(logits, target)
    torch.testing.assert_close(loss(logits, target), expected)


def test_a_sum_without_terms():
    with pytest.raises(UserError, match=r"loss.terms: a weighted sum has no terms; add one as \+loss@loss.terms"):
        WeightedSum(None)
