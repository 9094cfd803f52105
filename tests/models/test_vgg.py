"""VGG16's stages and the pair of pooling and unpooling, against timm and torch."""

import huggingface_hub
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from segbench.errors import UserError
from segbench.models.vgg import CHANNELS, CONVS, Unit, pool, pretrained, scaled, stages, unpool

PLAIN = {"norm": "none", "groups": 8, "act": "relu", "slope": 0.01}


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_number_of_parameters_of_the_stages():
    with torch.device("meta"):
        assert parameters(stages(2, 3, CHANNELS, CONVS, **PLAIN)) == 14_714_688


@pytest.mark.parametrize(("norm", "name"), [("none", "vgg16"), ("batch", "vgg16_bn")])
def test_layers_are_those_of_timm(norm, name):
    with torch.device("meta"):
        ours = stages(2, 3, CHANNELS, CONVS, **PLAIN | {"norm": norm})
        theirs = timm.create_model(name).features
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]


def test_a_transposed_unit_without_activation():
    unit = Unit(2, 3, 4, kernel=5, transposed=True, bias=False, **PLAIN | {"act": None})
    x = draw(1, 3, 6, 7)
    torch.testing.assert_close(unit(x), F.conv_transpose2d(x, unit[0].weight, padding=2))


def test_width():
    assert scaled([64, 128, 512], 0.01) == [1, 1, 5]
    assert scaled([64, 128], 2) == [128, 256]
    with pytest.raises(UserError, match=r"model\.width=0 must be above 0"):
        scaled([64], 0)


# Pooling with switches


@pytest.mark.parametrize(("size", "inverse"), [((6, 10), nn.MaxUnpool2d(2)), ((4, 6, 8), nn.MaxUnpool3d(2))])
@pytest.mark.parametrize("channels_last", [False, True])
def test_unpooling_is_torchs(any_algorithm, size, inverse, channels_last):
    x = draw(2, 3, *size)
    if channels_last:
        x = x.to(memory_format=torch.channels_last if len(size) == 2 else torch.channels_last_3d)
    maxima, switches = pool(x)
    values = draw(*maxima.shape, seed=1)
    assert torch.equal(unpool(values, switches), inverse(values, switches))


def test_unpooling_keeps_one_value_of_each_window_where_it_was():
    x = draw(2, 3, 8, 12)
    restored = unpool(*pool(x))
    assert torch.equal(restored[restored != 0], x[restored != 0])
    windows = restored.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert ((windows != 0).sum(dim=4) == 1).all()
    torch.testing.assert_close(restored.sum(), F.max_pool2d(x, 2).sum())


def test_gradients_of_unpooling():
    x = draw(1, 2, 4, 4).double().requires_grad_()
    other = draw(1, 2, 2, 2, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, other: unpool(pool(x)[0] * other, pool(x)[1]), (x, other))


def test_unpooling_is_allowed_where_torchs_is_not(any_algorithm):
    maxima, switches = pool(draw(1, 2, 4, 4))
    torch.use_deterministic_algorithms(True)
    unpool(maxima, switches)
    with pytest.raises(RuntimeError, match="deterministic"):
        F.max_unpool2d(maxima, switches, 2)


# Trained weights


def test_weights_that_cannot_be_downloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with torch.device("meta"), pytest.raises(UserError) as error:
        pretrained("imagenet", "batch", 3)
    assert str(error.value) == (
        "model.weights=imagenet: the weights of vgg16_bn could not be downloaded; run once with a connection, so that "
        "they are kept, or set model.weights=null"
    )


@pytest.mark.parametrize(
    ("weights", "norm", "message"),
    [
        ("imagnet", "none", "model.weights=imagnet is not one of imagenet; did you mean imagenet?"),
        ("imagenet", "group", "model.weights=imagenet: VGG16 was trained with model.norm=none and model.norm=batch"),
    ],
)
def test_weights_that_do_not_exist(weights, norm, message):
    with pytest.raises(UserError) as error:
        pretrained(weights, norm, 3)
    assert str(error.value).startswith(message)
