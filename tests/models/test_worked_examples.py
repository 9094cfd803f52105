"""Worked examples of courses on segmentation, by PyTorch's operations and by the parts of networks here."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from segbench.models.blocks import ACTIVATIONS, DOWN, Maxout, PixelShuffle, match_size, upsampling


def image(rows):
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def test_cross_correlation_does_not_flip_the_kernel():
    result = F.conv2d(image([[0, 1, 2], [3, 4, 5], [6, 7, 8]]), image([[0, 1], [2, 3]]))
    assert result[0, 0].tolist() == [[19, 25], [37, 43]]


def test_max_pooling_of_3_with_stride_1():
    rows = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
    assert F.max_pool2d(image(rows), 3, stride=1)[0, 0].tolist() == [[3, 3, 3], [3, 3, 3], [3, 2, 3]]


def test_max_pooling_of_2_with_stride_2():
    rows = [[2, 2, 7, 3], [9, 4, 6, 1], [8, 5, 2, 4], [3, 1, 2, 6]]
    assert DOWN["max_pool"][2](2)(image(rows))[0, 0].tolist() == [[9, 7], [8, 6]]


def test_transposed_convolution_of_3_with_stride_2():
    layer = upsampling("transposed_3", 2, 1, 1)
    layer.weight.data = image([[1, 2, 1], [2, 0, 1], [0, 2, 1]])
    nn.init.zeros_(layer.bias)
    expected = [[0, 4, 0, 1], [10, 7, 6, 3], [0, 7, 0, 2], [6, 3, 4, 2]]
    assert layer(image([[2, 1], [3, 2]]))[0, 0].tolist() == expected


def test_strided_convolution_and_its_adjoint():
    signal, kernel = torch.tensor([[[1, 3, 2, 1, 0, 0, 1.0]]]), torch.tensor([[[-1, 2, 1.0]]])
    assert F.conv1d(signal, kernel, padding=1).flatten().tolist() == [5, 7, 2, 0, -1, 1, 2]
    strided = F.conv1d(signal, kernel, stride=2, padding=1)
    assert strided.flatten().tolist() == [5, 2, -1, 2]
    back = F.conv_transpose1d(strided, kernel, stride=2, padding=1)
    assert back.flatten().tolist() == [10, 3, 4, 3, -2, -3, 4]
    stuffed = torch.tensor([[[5, 0, 2, 0, -1, 0, 2.0]]])
    assert torch.equal(F.conv1d(stuffed, kernel.flip(2), padding=1), back)
    # Adjoint: <A x, y> = <x, A' y>.
    assert (strided * strided).sum() == (signal * back).sum()


def test_linear_interpolation_from_end_to_end():
    signal = torch.tensor([[[5, 2, -1, 2.0]]])
    result = F.interpolate(signal, 7, mode="linear", align_corners=True)
    assert result.flatten().tolist() == [5, 3.5, 2, 0.5, -1, 0.5, 2]


def test_filter_for_dark_lines():
    rows = [
        [1, 25, 23, 21, 25, 23, 5, 1],
        [6, 25, 0, 0, 0, 0, 25, 6],
        [25, 0, 84, 82, 86, 82, 0, 22],
        [0, 81, 0, 86, 81, 0, 83, 0],
        [0, 81, 82, 81, 79, 89, 84, 0],
        [24, 0, 83, 0, 0, 82, 0, 1],
        [6, 25, 0, 81, 81, 0, 26, 25],
        [1, 6, 26, 0, 0, 25, 6, 6],
    ]
    result = F.conv2d(image(rows), image([[1, 1, 1], [-3, -3, -3], [1, 1, 1]]))[0, 0]
    assert result.shape == (6, 6)
    assert (result[0, 2], result[2, 2]) == (321, -7)


def test_tanh_and_log_softmax():
    z = torch.linspace(-4, 4, 33, dtype=torch.float64)
    torch.testing.assert_close(
        ACTIVATIONS["tanh"].build(1, 0.0)(z), 2 * ACTIVATIONS["sigmoid"].build(1, 0.0)(2 * z) - 1
    )
    torch.testing.assert_close(F.log_softmax(z, 0), z - torch.logsumexp(z, 0))


@pytest.mark.parametrize(
    "layers", [[(3, 1)], [(3, 1)] * 2, [(3, 1)] * 5, [(3, 1), (2, 2), (3, 1), (3, 1)], [(4, 2), (3, 1), (4, 2), (3, 1)]]
)
def test_receptive_field_by_its_recurrence(layers):
    """Kernels k and strides s: r += (k - 1) j, then j *= s, from r = j = 1."""
    r = j = 1
    for k, s in layers:
        r, j = r + (k - 1) * j, j * s
    if {s for _, s in layers} == {1}:
        assert r == 2 * len(layers) + 1
    net = nn.Sequential(*(nn.Conv1d(1, 1, k, s, bias=False) for k, s in layers))
    for layer in net:
        nn.init.ones_(layer.weight)
    signal = torch.ones(1, 1, 4 * r, requires_grad=True)
    net(signal)[0, 0, 1].backward()
    assert (signal.grad != 0).sum() == r


# Checkerboards (Odena et al. 2016)


def on_a_constant(name):
    """What an up-sampling of equal weights makes of a constant image, border left out."""
    layer = upsampling(name, 2, 1, 1)
    for weight in layer.parameters():
        nn.init.constant_(weight, 1.0 if weight.ndim > 1 else 0.0)
    return layer(torch.ones(1, 1, 6, 6))[0, 0, 2:-2, 2:-2]


@pytest.mark.parametrize("name", ["transposed", "nearest", "linear", "pixel_shuffle"])
def test_even_overlap_keeps_a_constant_constant(name):
    result = on_a_constant(name)
    assert (result == result[0, 0]).all()


def test_kernel_that_the_stride_does_not_divide_makes_a_checkerboard():
    """Along an axis every second pixel lies under two kernels: 1 or 2, in the plane 1, 2 or 4."""
    result = on_a_constant("transposed_3")
    assert set(result.flatten().tolist()) == {1.0, 2.0, 4.0}
    assert all(len(set(result[i::2, j::2].flatten().tolist())) == 1 for i in (0, 1) for j in (0, 1))


# Pixel shuffle


def test_pixel_shuffle_is_torchs():
    x = torch.randn(2, 12, 3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(PixelShuffle()(x), nn.PixelShuffle(2)(x))


def test_pixel_shuffle_in_3d_deals_out_channels():
    x = torch.arange(2 * 8.0).reshape(1, 16, 1, 1, 1)
    assert torch.equal(PixelShuffle()(x)[0].flatten(), torch.arange(16.0))
    from monai.networks.utils import pixelshuffle

    x = torch.randn(2, 16, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(PixelShuffle()(x), pixelshuffle(x, 3, 2))


@pytest.mark.parametrize("name", ["transposed", "transposed_3", "nearest", "linear", "pixel_shuffle"])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_upsampling_doubles_odd_and_even_sizes(name, dims):
    size = (5, 4, 3)[:dims]
    assert upsampling(name, dims, 6, 2)(torch.randn(1, 6, *size)).shape == (1, 2, *(2 * n for n in size))


def test_pixel_shuffle_of_one_pixel_kernels_is_a_transposed_convolution():
    """Shi et al. 2016: a convolution at low resolution and a shuffle do what a transposed convolution does."""
    transposed = upsampling("transposed", 2, 3, 2)
    weight = transposed.weight.permute(1, 2, 3, 0).reshape(8, 3, 1, 1)
    x = torch.randn(1, 3, 5, 4)
    shuffled = PixelShuffle()(F.conv2d(x, weight, transposed.bias.repeat_interleave(4)))
    torch.testing.assert_close(shuffled, transposed(x))


# Sizes and activations


def test_cutting_the_centre():
    x = image([[10 * row + column for column in range(6)] for row in range(5)])
    assert match_size(x, (3, 2), "centre")[0, 0].tolist() == [[12, 13], [22, 23], [32, 33]]


def test_absolute_value_is_maxout_of_two_signs():
    x = torch.linspace(-2, 2, 9).reshape(1, 1, 9, 1)
    assert torch.equal(Maxout(2)(torch.cat([x, -x], dim=1)), x.abs())


@pytest.mark.parametrize("slope", [0.01, 0.1])
def test_slope_of_a_leaky_relu(slope):
    z = torch.tensor([-2.0, 0.0, 3.0])
    assert ACTIVATIONS["leaky_relu"].build(1, slope)(z).tolist() == pytest.approx([-2 * slope, 0, 3])


def test_elu():
    z = torch.tensor([-1.0, 2.0])
    assert ACTIVATIONS["elu"].build(1, 0.0)(z).tolist() == pytest.approx([math.exp(-1) - 1, 2])
