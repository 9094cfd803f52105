"""Heat maps and filters against identities, captum, and networks whose answer is known."""

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam
from torch import nn

from segbench.errors import UserError
from segbench.explanation.filters import responsible_filters
from segbench.explanation.heat import (
    grad_cam,
    grad_cam_plus_plus,
    integrated_gradients,
    normalised,
    occlusion,
    weights,
)
from segbench.explanation.layers import deepest_layer, find_layer, response
from segbench.explanation.quality import deletion_and_insertion, points_into


class Small(nn.Module):
    """Two convolutions and a coarse one between them; two classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.act = nn.ReLU(inplace=True)  # changes what the layer before it gave
        self.deep = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(6, 2, 2, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.up(self.act(self.deep(self.act(self.first(image)))))


class Planted(nn.Module):
    """Filter 3 of its layer is the image's mask, the others are noise; the class is what that filter says."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 5, 1, bias=False)
        self.head = nn.Conv2d(5, 2, 1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([0.01, -0.02, 0.015, 1.0, 0.005]).reshape(5, 1, 1, 1))
            self.head.weight.copy_(torch.tensor([[0.0] * 5, [0.01, 0.02, -0.01, 1.0, 0.01]]).reshape(2, 5, 1, 1))
            self.head.bias.copy_(torch.tensor([0.5, 0.0]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(image))


def of(mask: torch.Tensor, index: int = 1):
    return lambda network, image: network(image)[0, index][mask].sum()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 1, 16, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def half() -> torch.Tensor:
    mask = torch.zeros(16, 12, dtype=torch.bool)
    mask[:8] = True
    return mask


def test_seg_grad_cam_is_captums(image, half):
    network = Small().eval()
    found = response(network, network.deep, image, of(half))
    theirs = LayerGradCam(lambda x: of(half)(network, x)[None], network.deep).attribute(image, relu_attributions=True)
    ours = torch.einsum("k,k...->...", weights(found), found.features).relu()
    torch.testing.assert_close(ours, theirs[0, 0])
    assert grad_cam(found, (16, 12)).shape == (16, 12)


def test_weights_of_disjoint_regions_add_up(image, half):
    network = Small().eval()
    parts = [weights(response(network, network.deep, image, of(mask))) for mask in (half, ~half)]
    whole = weights(response(network, network.deep, image, of(torch.ones_like(half))))
    torch.testing.assert_close(parts[0] + parts[1], whole)


def test_of_one_linear_layer_the_weight_is_the_networks_over_the_positions(image, half):
    network = Planted().eval()
    found = response(network, network.layer, image, of(half))
    expected = network.head.weight[1, :, 0, 0] * half.sum() / half.numel()
    torch.testing.assert_close(weights(found), expected.detach())


def test_a_class_that_does_not_look_at_the_layer_has_no_map(image, half):
    network = Planted().eval()
    found = response(network, network.layer, image, of(half, index=0))
    assert not weights(found).any()
    assert not normalised(grad_cam(found, (16, 12))).any()


def test_a_hook_leaves_nothing_behind(image, half):
    network = Small().eval()
    before = network(image)
    name = deepest_layer(network, image)
    response(network, find_layer(network, name), image, of(half))
    assert torch.equal(network(image), before)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_deepest_layer_is_the_last_of_the_coarsest(image):
    assert deepest_layer(Small().eval(), image) == "act"  # the second use of it
    with pytest.raises(UserError, match=r"layer=depp: .*nearest are deep"):
        find_layer(Small(), "depp")


def test_grad_cam_plus_plus_by_its_formula(image, half):
    network = Small().eval()
    found = response(network, network.deep, image, of(half))
    expected = np.zeros(found.features.shape[1:])
    for features, g in zip(found.features.numpy(), found.gradient.numpy(), strict=True):
        alpha = 0.0
        for (u, v), slope in np.ndenumerate(g):
            below = 2 * slope**2 + features.sum() * slope**3
            alpha += (slope**2 / below if below else 0.0) * max(slope, 0)
            del u, v
        expected += alpha * features
    np.testing.assert_allclose(
        grad_cam_plus_plus(found, found.features.shape[1:]), np.maximum(expected, 0), rtol=1e-4, atol=1e-6
    )


def test_integrated_gradients_are_complete(image, half):
    """They sum to the difference of the score to that of the baseline (Sundararajan et al. 2017, proposition 1)."""
    network = Small().eval()
    score = of(half)
    baseline = image.mean().expand_as(image)
    found = IntegratedGradients(lambda x: torch.stack([score(network, one[None]) for one in x])).attribute(
        image, baselines=baseline, n_steps=64, internal_batch_size=1
    )
    assert found.sum().item() == pytest.approx((score(network, image) - score(network, baseline)).item(), rel=1e-2)
    torch.testing.assert_close(integrated_gradients(network, image, score, steps=64), found[0].abs().sum(0).float())


@pytest.mark.parametrize("shape", [(16, 12), (6, 8, 8)])
def test_occlusion_finds_where_the_evidence_is(shape):
    evidence = torch.zeros(shape)
    evidence[(slice(0, 4), *(slice(0, 4),) * (len(shape) - 1))] = 1
    network = nn.Identity()
    heat = occlusion(network, evidence[None, None], lambda _, image: image[0, 0].clamp(min=0.2).sum(), windows=4)
    assert heat.shape == shape
    assert points_into(heat, evidence > 0)
    assert heat[evidence > 0].mean() > 5 * heat[evidence == 0].mean()


def test_the_planted_filter_is_first():
    mask = torch.zeros(10, 10, dtype=torch.bool)
    mask[2:6, 3:8] = True
    image = mask.float()[None, None]
    network = Planted().eval()
    found = response(network, network.layer, image, of(mask))

    def dice() -> float:
        predicted = network(image)[0].argmax(0) == 1
        return float(2 * (predicted & mask).sum() / (predicted.sum() + mask.sum()))

    filters = responsible_filters(network.layer, found, mask, dice, most=3)
    assert filters[0].number == 3
    assert filters[0].drop == pytest.approx(1.0)
    assert all(one.drop == pytest.approx(0.0) for one in filters[1:])
    assert filters[0].weight == pytest.approx(float(mask.sum() / mask.numel()))


def test_deletion_and_insertion_of_the_best_and_the_worst_map(image):
    """The score is the sum of the pixels above the mean: the image itself is the best map."""

    def score(changed: torch.Tensor) -> float:
        return float((changed - image.mean()).clamp(min=0).sum())

    best = deletion_and_insertion(image[0, 0], image, score)
    worst = deletion_and_insertion(-image[0, 0], image, score)
    assert best[0] < worst[0]
    assert best[1] > worst[1]
    constant = deletion_and_insertion(image[0, 0], image, lambda _: 1.0)
    assert constant == pytest.approx((1.0, 1.0))
