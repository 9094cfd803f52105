"""The Y-shaped autoencoder: halves of a code that stand for classes."""

import pytest
import torch
from torch import Tensor

from segbench.errors import UserError
from segbench.models.y_autoencoder import YAutoencoder

HEADS = {"mask": 2, "restored": 3, "finding": 2}


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def small() -> YAutoencoder:
    torch.manual_seed(0)
    return YAutoencoder(2, 3, HEADS, width=0.25)


def test_published_counts_of_its_parts() -> None:
    net = YAutoencoder(2, 3, HEADS)
    assert count(net.encoder) == 148_200
    assert count(net.decoder) == 138_816
    assert {name: count(branch) for name, branch in net.branches.items()} == {"mask": 8_930, "restored": 9_003}
    assert net.encoder(draw(1, 3, 256, 256)).shape == (1, 128, 16, 16)


def test_the_half_of_the_other_class_does_not_count() -> None:
    """Its last filters have exactly no gradient from mask and image; those of the right half have one."""
    net, finding = small(), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    outputs = net(draw(2, 3, 32, 48), {"finding": finding[:, :, None, None]})
    (outputs["mask"].square().mean() + outputs["restored"].square().mean()).backward()
    last = [layer for layer in net.encoder if isinstance(layer, torch.nn.BatchNorm2d)][-1]
    other, own = last.weight.grad.chunk(2)
    assert not other.any()
    assert own.any()


def test_activity_is_the_mean_of_each_half_at_every_pixel() -> None:
    net, image = small().eval(), draw(2, 3, 32, 48)
    code = net.encoder(image)
    expected = torch.stack([half.abs().mean(dim=(1, 2, 3)) for half in code.chunk(2, dim=1)], dim=1)
    activity = net(image)["finding"]
    assert activity.shape == (2, 2, 32, 48)
    torch.testing.assert_close(activity, expected[:, :, None, None].expand_as(activity))


def test_it_goes_by_what_it_finds_where_it_is_not_told() -> None:
    net, image = small().eval(), draw(1, 3, 32, 32)
    found = net(image)
    second = bool(found["finding"][0, 1, 0, 0] >= found["finding"][0, 0, 0, 0])
    right, wrong = (torch.eye(2)[[int(one)]][:, :, None, None] for one in (second, not second))
    assert torch.equal(net(image, {"finding": right})["mask"], found["mask"])
    assert not torch.equal(net(image, {"finding": wrong})["mask"], found["mask"])


def test_other_numbers_of_halves_are_refused() -> None:
    with pytest.raises(UserError, match=r"task.heads.finding=3: the two halves of the code have two activities"):
        YAutoencoder(2, 3, {"mask": 2, "finding": 3})
