"""MLP, LeNet, the sliding-window CNN and torchvision's networks as classifiers of a patch's centre."""

from functools import partial

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.functional import conv2d

from segbench.errors import UserError
from segbench.inference import OverlapTile
from segbench.metrics.cost import receptive_field
from segbench.models.classifier import PatchClassifier
from segbench.models.lenet import TABLE, LeNet, ScaledTanh, UnitBiasConv
from segbench.models.mlp import MLP
from segbench.models.sliding_window_cnn import SlidingWindowCNN


def draw(*size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


# MLP


@pytest.mark.parametrize("act", ["sigmoid", "tanh", "elu", "maxout"])
def test_gradient_of_the_mlp_is_the_finite_difference(act):
    torch.manual_seed(0)
    net = MLP(2, 1, {"mask": 2}, view=3, hidden=[5, 4], act=act).double()
    image = draw(2, 1, 3, 3).double().requires_grad_()
    weights = tuple(net.parameters())

    def logits(image, *weights):
        named = dict(zip((name for name, _ in net.named_parameters()), weights, strict=True))
        return torch.func.functional_call(net, named, image)["mask"]

    assert torch.autograd.gradcheck(logits, (image, *weights), eps=1e-6, atol=1e-6)


def test_mlp_is_the_printed_formula():
    net, image = MLP(2, 3, {"mask": 2}, view=4, hidden=[6]), draw(2, 3, 4, 4)
    first, last = (layer for layer in net.layers if isinstance(layer, nn.Linear))
    hidden = torch.sigmoid(image.flatten(1) @ first.weight.T + first.bias)
    torch.testing.assert_close(net(image)["mask"][..., 0, 0], hidden @ last.weight.T + last.bias)


def test_mlp_without_a_hidden_layer_is_linear():
    assert count(MLP(2, 3, {"mask": 2, "more": 1}, view=8, hidden=[])) == 3 * 64 * 3 + 3


# LeNet


def test_lenet_has_the_published_numbers():
    """Free parameters of each layer, units, and connections, to the border of zeros included."""
    net = LeNet(2, 1, {"mask": 10})
    layers = [layer for layer in net.layers if isinstance(layer, UnitBiasConv | nn.Linear)]
    assert [count(layer) for layer in layers] == [1068, 2592, 5790, 310]
    units, connections, x = [16 * 16], [], draw(1, 1, 16, 16)
    for layer in net.layers:
        x = layer(x)
        if layer in layers:
            units.append(x[0].numel())
            connections.append(x[0].numel() * (layer.weight[0].numel() + 1))
    assert units == [256, 768, 192, 30, 10]
    assert sum(units) == 1256
    assert sum(connections) == 64_660


def test_each_map_sees_eight_and_is_seen_by_eight():
    assert all(len(set(row)) == 8 for row in TABLE)
    seen = [source for row in TABLE for source in row]
    assert [seen.count(source) for source in range(12)] == [8] * 12


def test_second_layer_is_a_convolution_with_zeros_in_the_table():
    layer, x = UnitBiasConv(TABLE, 4), draw(2, 12, 8, 8)
    dense = torch.zeros(12, 12, 5, 5)
    for number, row in enumerate(TABLE):
        for position, source in enumerate(row):
            dense[number, source] = layer.weight[number, position].detach()
    expected = conv2d(x, dense, stride=2, padding=2) + layer.bias
    torch.testing.assert_close(layer(x), expected)


def test_scaled_tanh_goes_through_one():
    assert ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0])).tolist() == pytest.approx([-1, 0, 1], abs=1e-4)


# Sliding-window CNN


def sliding(**options):
    torch.manual_seed(0)
    return SlidingWindowCNN(2, 1, {"mask": 3}, **{"channels": [6, 5, 4, 3], "hidden": 7, **options}).eval()


def test_n4_has_its_layers():
    net, sizes = SlidingWindowCNN(2, 1, {"mask": 2}).eval(), []
    assert net.window == 95
    assert count(net) == 816 + 57_648 + 2 * 36_912 + 86_600 + 402
    for activation in net.activations:
        activation.register_forward_hook(lambda module, x, y: sizes.append(y.shape[2]))
    assert net(draw(1, 1, 95, 95))["mask"].shape == (1, 2, 1, 1)
    assert sizes == [92, 42, 18, 6, 1]
    assert receptive_field(sliding(), (1, 128, 128)) == (95, 95)


@pytest.mark.parametrize("act", ["relu", "tanh", "maxout"])
def test_dense_map_is_the_network_at_every_window(act):
    net, image = sliding(act=act), draw(2, 1, 121, 110)
    with torch.inference_mode():
        dense = net(image)["mask"]
        assert dense.shape == (2, 3, 27, 16)
        places = torch.randint(0, 27 * 16, (20,), generator=torch.Generator().manual_seed(1))
        for top, left in ((int(place) // 16, int(place) % 16) for place in places):
            one = net(image[:, :, top : top + 95, left : left + 95])["mask"]
            torch.testing.assert_close(dense[:, :, top : top + 1, left : left + 1], one, rtol=1e-5, atol=1e-5)


def test_overlap_tile_gives_the_class_of_each_pixels_window():
    net, image = sliding(), draw(1, 1, 40, 33)
    padded = torch.nn.functional.pad(image[:, :, :, :], (32, 32, 39, 39), mode="reflect")
    padded = torch.nn.functional.pad(padded, (15, 15, 8, 8), mode="reflect")  # mirrored again, as often as needed
    with torch.inference_mode():
        result = OverlapTile((110, 110))(net, image)["mask"]
        assert result.shape == (1, 3, 40, 33)
        for y, x in [(0, 0), (39, 32), (17, 5), (20, 16)]:
            one = net(padded[:, :, y : y + 95, x : x + 95])["mask"]
            torch.testing.assert_close(result[:, :, y : y + 1, x : x + 1], one, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(95, 95), (128, 128), (129, 100)])
def test_training_sees_the_window_around_the_centre(size):
    """The pixel of index (P - 1) // 2, whose class the target has."""
    net, image = sliding(), draw(1, 1, *size)
    dense, trained = net(image)["mask"], net.train()(image)["mask"]
    y, x = ((length - 1) // 2 - 47 for length in size)
    torch.testing.assert_close(trained, dense[:, :, y : y + 1, x : x + 1], rtol=1e-5, atol=1e-5)


def test_patch_smaller_than_the_window():
    message = r"data.patch_size=\[95, 94\] is smaller than the window .* needs at least \[95, 95\]"
    with pytest.raises(UserError, match=message):
        sliding()(draw(1, 1, 95, 94))
    with pytest.raises(UserError, match=message):
        sliding().check_patch([95, 94])


def test_kernels_without_channels():
    with pytest.raises(UserError, match=r"model.channels=\[6\] and model.kernels=\[4, 5, 4, 4\]"):
        sliding(channels=[6])


# torchvision


@pytest.mark.parametrize(("net", "parameters"), [("alexnet", 61_100_840), ("vgg16", 138_357_544)])
def test_published_parameters_at_a_thousand_classes(net, parameters):
    with torch.device("meta"):
        made = PatchClassifier(2, 3, {"mask": 1000}, net=getattr(torchvision.models, net))
    assert count(made) == parameters


def test_other_channels_replace_the_first_convolution():
    make = partial(torchvision.models.alexnet, dropout=0.0)
    with torch.device("meta"):
        three, five = (PatchClassifier(2, channels, {"mask": 2}, net=make) for channels in (3, 5))
    assert count(five) - count(three) == 2 * 64 * 11 * 11
    assert five.net.features[0].stride == three.net.features[0].stride == (4, 4)


def test_a_view_too_small_for_the_network():
    with pytest.raises(UserError, match=r"model.view=32: AlexNet takes no patches of that size .*; 64 suit"):
        PatchClassifier(2, 1, {"mask": 2}, net=torchvision.models.alexnet, view=32)
