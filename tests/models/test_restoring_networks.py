"""Networks that add what they learn to the image: CARE, its projection, DeepResolve."""

import pytest
import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.care import Care, Projected
from segbench.models.deepresolve import DeepResolve


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", [Care, DeepResolve])
def test_a_last_layer_of_zeros_is_the_identity(kind: type[Care] | type[DeepResolve], dims: int) -> None:
    net = kind(dims, 3, {"restored": 2, "mask": 2}, width=4)
    for head in net.heads.values():
        nn.init.zeros_(head.weight)
    image = draw(1, 3, *(7, 9, 6)[:dims])
    outputs = net(image)
    assert torch.equal(outputs["restored"], image[:, :2])
    assert not outputs["mask"].any()


def test_the_receptive_field_of_twenty_layers_is_41() -> None:
    net = DeepResolve(2, 1, {"restored": 1}, width=2, init="pytorch")
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    image = torch.ones(1, 1, 61, 61, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(image)["restored"][0, 0, 30, 30], image)
    rows, columns = (gradient[0, 0] != 0).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 50, 10, 50)


def test_a_stack_of_equal_slices_is_its_own_projection() -> None:
    net = Projected(2, 5, {"restored": 1}, depth=2, width=2)
    image = draw(2, 1, 21, 18)
    torch.testing.assert_close(net.project(image.expand(-1, 5, -1, -1)), image)


def test_a_projection_lies_within_the_stack() -> None:
    net, stack = Projected(2, 6, {"restored": 1}, depth=2, width=2), draw(1, 6, 16, 16)
    found = net.project(stack)
    assert (found >= stack.amin(1, keepdim=True)).all()
    assert (found <= stack.amax(1, keepdim=True)).all()
    assert net(stack)["restored"].shape == (1, 1, 16, 16)


def test_neighbouring_slices_make_convolutions_in_three_dimensions() -> None:
    """Against convolutions of volumes, of the same weights."""
    net, stack = Projected(2, 5, {"restored": 1}, depth=2, width=2), draw(2, 5, 16, 12)
    x = stack[:, None]
    *convs, last = net.weigh
    for number, conv in enumerate((*convs, last)):
        if 2 < number < 5:
            x = nn.functional.interpolate(x, scale_factor=(1, 2, 2))
        volume = nn.Conv3d(x.shape[1], conv.out_channels, 3, padding=1)
        volume.weight.data = conv.weight.unflatten(1, (3, -1)).transpose(1, 2).detach()
        volume.bias.data = conv.bias.detach()
        x = volume(x) if conv is last else volume(x).relu()
        if number < 2:
            x = nn.functional.max_pool3d(x, (1, 2, 2))
    expected = (x[:, 0].softmax(dim=1) * stack).sum(dim=1, keepdim=True)
    torch.testing.assert_close(net.project(stack), expected)


def test_the_weighing_network_takes_any_stack() -> None:
    counts = {sum(p.numel() for p in Projected(2, slices, {"restored": 1}).weigh.parameters()) for slices in (3, 20)}
    assert counts == {14_329}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="a projection is of a stack whose slices are channels"):
        Projected(3, 1, {"restored": 1})
    with pytest.raises(UserError, match=r"model.layers=1: must be at least 2"):
        DeepResolve(2, 1, {"restored": 1}, layers=1)
