"""The boundary loss against MONAI's, brute force and what it is for."""

import numpy as np
import pytest
import torch
from monai.losses import BoundaryLoss, GeneralizedDiceLoss

from tests.losses.draws import CLASSES, certain, draw, probabilities


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("size", [(2, 9, 8), (2, 5, 6, 7)])
def test_boundary_loss_is_that_of_monai(build, size, background):
    logits, target = draw(*size)
    target[1][target[1] == 2] = 0  # an image without a class
    theirs = BoundaryLoss(include_background=background, softmax=True, to_onehot_y=True)
    ours = build("boundary", f"include_background={background}")
    torch.testing.assert_close(ours(logits, target), theirs(logits, target[:, None]), rtol=1e-5, atol=1e-6)


def test_generalised_dice_and_boundary_loss(build):
    """The sum of the paper, from MONAI's two; 0.01 of the boundary loss."""
    logits, target = draw(2, 9, 8)
    shared = {"softmax": True, "to_onehot_y": True}
    overlap = GeneralizedDiceLoss(batch=True, smooth_nr=0, smooth_dr=0, **shared)(logits, target[:, None])
    distances = BoundaryLoss(include_background=False, **shared)(logits, target[:, None])
    torch.testing.assert_close(build("dice_boundary")(logits, target), overlap + 0.01 * distances, rtol=1e-4, atol=1e-6)
    more = build("dice_boundary", "terms.boundary.weight=1")(logits, target)
    torch.testing.assert_close(more, overlap + distances, rtol=1e-4, atol=1e-6)


def brute_force(logits, target):
    """Every pixel's distance to every known pixel of the other side."""
    p = probabilities(logits)
    total = 0.0
    for b, label in enumerate(target.numpy()):
        pixels = np.argwhere(label != 255)
        for c in range(1, CLASSES):
            sides = np.array([label[tuple(pixel)] == c for pixel in pixels])
            if sides.all() or not sides.any():
                continue
            for pixel, inside in zip(pixels, sides, strict=True):
                d = np.sqrt(((pixels[sides != inside] - pixel) ** 2).sum(1).min())
                total += p[b, c][tuple(pixel)] * (1 - d if inside else d)
    return total / (target != 255).sum().item() / (CLASSES - 1)


@pytest.mark.parametrize("size", [(2, 9, 8), (2, 4, 3, 5)])
def test_ignored_pixels_are_no_boundary(build, size):
    logits, target = draw(*size)
    target[torch.rand(size, generator=torch.Generator().manual_seed(3)) < 0.4] = 255
    assert build("boundary")(logits, target).item() == pytest.approx(brute_force(logits, target), abs=1e-5)


def test_it_grows_with_the_distance_of_an_error(build):
    """Overlap losses do not tell these predictions apart."""
    target = torch.zeros(1, 9, 30, dtype=torch.long)
    target[:, 3:6, 3:6] = 1
    losses = {name: [] for name in ("boundary", "dice")}
    for column in (7, 14, 28):
        predicted = target.clone()
        predicted[0, 4, column] = 1
        for name, values in losses.items():
            values.append(build(name)(certain(predicted, classes=2), target).item())
    assert losses["boundary"] == sorted(losses["boundary"])
    assert losses["boundary"][0] < losses["boundary"][2]
    assert losses["dice"] == pytest.approx([losses["dice"][0]] * 3)
