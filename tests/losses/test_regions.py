"""Losses of overlapping regions against NumPy, and ignored pixels cut out of all of them."""

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from segbench.errors import UserError
from segbench.losses.regions import takes_regions
from segbench.losses.regression import ValueLoss
from segbench.training.objective import Objective, Part, resize
from tests.made_runs import configure

TAKING = ("bce", "cross_entropy", "dice", "dice_ce", "dice_squared", "focal_tversky", "generalized_dice", "jaccard",
          "log1m_dice", "log_dice", "exponential_log_dice", "tversky")  # fmt: skip
REFUSING = ("boundary", "dice_boundary", "dice_focal", "focal", "lovasz", "weighted_cross_entropy")


def loss_of(name: str) -> torch.nn.Module:
    config = configure(f"loss={name}")
    config.measured.class_frequencies = config.measured.class_frequencies_where_present = [0.5, 0.25, 0.25]
    loss: torch.nn.Module = instantiate(config.loss, _convert_="all")
    return loss


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and masks of three regions in two images of 6 x 5, a few pixels of which are ignored."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 6, 5, generator=generator, requires_grad=True)
    masks = (torch.rand(2, 3, 6, 5, generator=generator) < 0.4).to(torch.uint8)
    masks[:, :, torch.rand(6, 5, generator=generator) < 0.2] = 255
    return logits, masks


def dice(p: np.ndarray, g: np.ndarray) -> float:
    return float((2 * (p * g).sum() + 1e-5) / (p.sum() + g.sum() + 1e-5))


def test_numbers_of_the_formulas() -> None:
    logits, masks = drawn()
    p, g = 1 / (1 + np.exp(-logits.detach().numpy().astype(float))), masks.numpy().astype(float)
    kept = masks.numpy() != 255
    entropy = -np.mean(np.log(np.where(g == 1, p, 1 - p))[kept])
    overlap = [dice(p[:, k][kept[:, k]], g[:, k][kept[:, k]]) for k in range(3)]
    assert loss_of("bce")(logits, masks).item() == pytest.approx(entropy, rel=1e-5)
    assert loss_of("cross_entropy")(logits, masks).item() == pytest.approx(entropy, rel=1e-5)
    assert loss_of("dice")(logits, masks).item() == pytest.approx(1 - np.mean(overlap), rel=1e-5)
    assert loss_of("dice_ce")(logits, masks).item() == pytest.approx(entropy + 1 - np.mean(overlap), rel=1e-5)
    assert loss_of("log_dice")(logits, masks).item() == pytest.approx(-np.mean(np.log(overlap)), rel=1e-4)


def test_weights_of_pixels() -> None:
    logits, masks = drawn()
    weight = torch.rand(2, 6, 5, generator=torch.Generator().manual_seed(1))
    values = torch.nn.functional.binary_cross_entropy_with_logits(logits, (masks == 1).float(), reduction="none")
    factor = weight[:, None] * (masks != 255)
    torch.testing.assert_close(loss_of("bce")(logits, masks, weight), (values * factor).sum() / factor.sum())


@pytest.mark.parametrize("name", TAKING)
def test_ignored_pixels_have_no_gradient_and_no_say(name: str) -> None:
    logits, masks = drawn()
    loss = loss_of(name)
    assert takes_regions(loss)
    value = loss(logits, masks)
    (gradient,) = torch.autograd.grad(value, logits)
    ignored = masks == 255
    assert (gradient[ignored] == 0).all()
    assert (gradient[~ignored] != 0).any()
    changed = torch.where(ignored, logits + 5, logits)
    torch.testing.assert_close(loss(changed, masks), value)
    (nothing,) = torch.autograd.grad(loss(logits, torch.full_like(masks, 255)), logits)
    assert torch.isfinite(nothing).all()
    assert (nothing == 0).all()


@pytest.mark.parametrize("name", TAKING)
def test_regions_do_not_compete(name: str) -> None:
    """Two regions may both be at a pixel: right logits of both give (nearly) the least loss."""
    masks = torch.ones(1, 2, 4, 4, dtype=torch.uint8)
    masks[:, :, :2] = 0
    loss = loss_of(name)
    right = loss(torch.where(masks == 1, 20.0, -20.0), masks)
    worse = loss(torch.tensor([20.0, -20.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4), masks)
    assert right < worse


@pytest.mark.parametrize("name", REFUSING)
def test_others_are_refused_in_one_line(name: str) -> None:
    logits, masks = drawn()
    loss = loss_of(name)
    assert not takes_regions(loss)
    with pytest.raises(UserError, match=r"task.objective.regions.loss: \w+ takes no overlapping regions"):
        Objective({"regions": Part(loss)})({"regions": logits}, {"regions": masks})


def test_deep_supervision_keeps_regions_whole_and_averages_images() -> None:
    masks = torch.tensor([[[[0, 1, 255, 255], [0, 1, 255, 255]]]], dtype=torch.uint8)
    coarse = torch.zeros(1, 1, 1, 2)
    assert set(resize(masks, coarse).unique().tolist()) <= {0, 1, 255}
    assert resize(masks, coarse).dtype == torch.uint8
    image = torch.arange(8.0).reshape(1, 1, 2, 4)
    torch.testing.assert_close(resize(image, coarse), torch.tensor([[[[2.5, 4.5]]]]))


def test_losses_of_values() -> None:
    a, b = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[0.0, 4.0]]])
    assert ValueLoss("l1")(a, b).item() == 1.5
    assert ValueLoss("mse")(a, b).item() == 2.5
    with pytest.raises(UserError, match=r"loss.distance=l2: must be one of l1, mse, smooth_l1"):
        ValueLoss("l2")
    with pytest.raises(UserError, match=r"compares values, such as those of an image"):
        ValueLoss("l1")(a, torch.zeros(1, 2, dtype=torch.int64))
