"""The parts of networks, against worked examples and identities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.models.blocks import (
    ACTIVATIONS,
    DOWN,
    NORMS,
    ConvBlock,
    Maxout,
    choose,
    initialise,
    match_size,
    padded_size,
    upsampling,
)


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def linear_block(weight, **settings):
    """A block that is a convolution alone: no norm, and a leaky ReLU of slope 1."""
    block = ConvBlock(2, 1, 1, norm="none", act="leaky_relu", slope=1.0, **settings)
    nn.init.zeros_(block[0].bias)
    block[0].weight.data[:] = torch.tensor(weight)
    return block


def test_max_pooling_worked_example():
    image = torch.tensor([[2, 2, 7, 3], [9, 4, 6, 1], [8, 5, 2, 4], [3, 1, 2, 6.0]])
    assert DOWN["max_pool"][2](2)(image[None, None])[0, 0].tolist() == [[9, 7], [8, 6]]


@pytest.mark.parametrize(("stride", "expected"), [(1, [5, 7, 2, 0, -1, 1, 2]), (2, [5, 2, -1, 2])])
def test_strided_convolution_worked_example(stride, expected):
    signal = torch.tensor([1, 3, 2, 1, 0, 0, 1.0]).reshape(1, 1, 1, 7)
    block = linear_block([[0, 0, 0], [-1, 2, 1], [0, 0, 0.0]], stride=stride)
    assert block(signal).flatten().tolist() == expected


@pytest.mark.parametrize("k", [1, 2, 4])
def test_receptive_field_of_stacked_convolutions(k):
    image = torch.ones(1, 1, 21, 21, requires_grad=True)
    nn.Sequential(*(linear_block([[1.0] * 3] * 3) for _ in range(k)))(image)[0, 0, 10, 10].backward()
    assert (image.grad != 0).sum() == (2 * k + 1) ** 2


# Activations


def test_maxout_is_the_larger_of_two_linear_pieces():
    x = draw(2, 3, 5, 4)
    first, second = nn.Conv2d(3, 6, 1), nn.Conv2d(3, 6, 1)
    both = nn.Conv2d(3, 12, 1)
    both.weight.data = torch.cat([first.weight, second.weight])
    both.bias.data = torch.cat([first.bias, second.bias])
    torch.testing.assert_close(Maxout(2)(both(x)), torch.maximum(first(x), second(x)))


def test_relu_is_maxout_of_x_and_0():
    x = draw(2, 3, 5, 4)
    assert torch.equal(Maxout(2)(torch.cat([x, torch.zeros_like(x)], dim=1)), x.relu())


def test_maxout_doubles_the_convolution():
    block = ConvBlock(2, 3, 6, act="maxout")
    assert block[0].out_channels == 12
    assert block(draw(1, 3, 4, 4)).shape == (1, 6, 4, 4)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("relu", lambda z: z.clamp(min=0)),
        ("leaky_relu", lambda z: torch.where(z < 0, 0.1 * z, z)),
        ("elu", lambda z: torch.where(z < 0, z.exp() - 1, z)),
        ("prelu", lambda z: torch.where(z < 0, 0.25 * z, z)),
        ("tanh", lambda z: 2 * torch.sigmoid(2 * z) - 1),
        ("sigmoid", lambda z: 1 / (1 + torch.exp(-z))),
    ],
)
def test_activations_follow_their_formulas(name, formula):
    z = draw(2, 3, 5, 4)
    expected = formula(z)
    torch.testing.assert_close(ACTIVATIONS[name].build(3, 0.1)(z), expected)


# Norms


def test_norms_that_are_the_same():
    x = draw(2, 12, 5, 4) * 3 + 1
    instance = NORMS["instance"](2, 12, 8)(x)
    torch.testing.assert_close(NORMS["group"](2, 12, 12)(x), instance)
    torch.testing.assert_close(NORMS["layer"](2, 12, 8)(x), F.layer_norm(x, x.shape[1:]))
    torch.testing.assert_close(NORMS["group"](2, 12, 1)(x), NORMS["layer"](2, 12, 8)(x))
    torch.testing.assert_close(NORMS["batch"](2, 12, 8)(x[:1]), instance[:1])
    assert torch.equal(NORMS["none"](2, 12, 8)(x), x)


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (12, 4), (7, 1)])
def test_groups_divide_the_channels(channels, groups):
    assert NORMS["group"](2, channels, 8).num_groups == groups


@pytest.mark.parametrize("norm", NORMS)
def test_bias_only_without_norm(norm):
    assert (ConvBlock(2, 1, 8, norm=norm)[0].bias is not None) == (norm == "none")


# Sizes


@pytest.mark.parametrize("name", ["transposed", "nearest", "linear"])
@pytest.mark.parametrize("dims", [2, 3])
def test_upsampling_doubles_the_size(name, dims):
    size = (5, 4, 3)[:dims]
    doubled = upsampling(name, dims, 6, 2)(draw(1, 6, *size))
    assert doubled.shape == (1, 2, *(2 * n for n in size))


def test_upsampling_without_convolution_keeps_the_channels():
    x = draw(1, 6, 5, 4)
    expected = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(upsampling("nearest", 2, 6, None)(x), expected)


def test_transposed_convolution_is_a_convolution():
    with pytest.raises(UserError, match=r"model\.up_conv=false needs an interpolation"):
        upsampling("transposed", 2, 6, None)


@given(size=st.lists(st.integers(1, 70), min_size=2, max_size=3), depth=st.integers(1, 5))
def test_padded_size_is_what_the_strides_need(size, depth):
    stride = 2**depth
    padded = padded_size(size, stride)
    coarsest = [n // stride for n in padded]
    assert all(n % stride == 0 for n in padded)
    assert torch.Size(coarsest).numel() >= 2
    assert all(n >= wanted for n, wanted in zip(padded, size, strict=True))
    assert sum(n - wanted >= stride for n, wanted in zip(padded, size, strict=True)) <= (max(size) <= stride)


@given(
    size=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    more=st.lists(st.integers(0, 20), min_size=3, max_size=3),
)
def test_cutting_back_undoes_padding(size, more):
    x = draw(1, 2, *size)
    larger = [n + m for n, m in zip(size, more, strict=False)]
    padded = match_size(x, larger, "pad")
    assert padded.shape == (1, 2, *larger)
    assert padded.amin() == x.amin()
    assert padded.amax() == x.amax()
    assert torch.equal(match_size(padded, size, "crop"), x)


def test_padding_repeats_the_last_pixel():
    x = torch.tensor([[1.0, 2], [3, 4]])[None, None]
    assert match_size(x, (3, 4), "pad")[0, 0].tolist() == [[1, 2, 2, 2], [3, 4, 4, 4], [3, 4, 4, 4]]


@pytest.mark.parametrize("size", [(6, 5), (6, 5, 4)])
def test_interpolation_keeps_a_ramp(size):
    """A linear function is its own linear interpolation, but for the border."""
    ramp = torch.arange(6.0).reshape(1, 1, 6, *[1] * (len(size) - 1)).expand(1, 1, *size)
    doubled = match_size(ramp, [2 * n for n in size], "interpolate")
    inner = doubled[0, 0, 1:-1].flatten(1)[:, 0]
    torch.testing.assert_close(inner, torch.arange(10) / 2 + 0.25)


def test_nothing_is_copied_where_the_size_fits():
    x = draw(1, 2, 8, 8)
    assert all(match_size(x, (8, 8), mode) is x for mode in ("crop", "pad", "interpolate"))


# Choices and initialisation


def test_unknown_choice_names_the_nearest():
    with pytest.raises(UserError) as error:
        choose(NORMS, "bacth", "model.norm")
    assert str(error.value) == (
        "model.norm=bacth is not one of batch, instance, group, layer, none; did you mean batch?"
    )


def test_he_normal():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv3d(32, 64, 3))
    initialise(net, "he_normal")
    for conv, fan_in in ((net[0], 32 * 9), (net[2], 32 * 27)):
        assert conv.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert conv.weight.mean().item() == pytest.approx(0, abs=3e-3)
        assert (conv.bias == 0).all()


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (7, 1)])
def test_he_normal_keeps_the_variance_of_a_transposed_convolution(kernel, stride):
    """He et al. 2015, eq. 9: the mean square of what comes out is twice that of what goes in."""
    torch.manual_seed(0)
    conv = nn.ConvTranspose2d(256, 32, kernel, stride=stride)
    initialise(conv, "he_normal")
    inner = slice(kernel, -kernel)
    power = conv(torch.randn(4, 256, 24, 24))[..., inner, inner].square().mean().item()
    assert power == pytest.approx(2, rel=0.1)


def test_xavier():
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 64, 3)
    initialise(conv, "xavier")
    bound = (6 / (32 * 9 + 64 * 9)) ** 0.5
    assert conv.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_pytorchs_own_initialisation():
    conv = nn.Conv2d(32, 64, 3)
    before = conv.weight.clone()
    initialise(conv, "pytorch")
    assert torch.equal(conv.weight, before)
