"""SegNet against the release's counts, and against the same layers put together with torch's own unpooling."""

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from segbench.config.instantiation import build
from segbench.errors import UserError
from segbench.models.segnet import SegNet
from tests.made_runs import configure
from tests.models import fake_vgg

BASIC = {
    "channels": [64] * 4, "convs": [1] * 4, "decoder_convs": [1] * 4, "kernel": 7, "head_kernel": 1,
    "decoder_act": False, "decoder_bias": False,
}  # fmt: skip


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def small(dims=2, **options):
    torch.manual_seed(0)
    return SegNet(dims, 3, {"mask": 2}, **{"width": 1 / 16} | options)


@pytest.mark.parametrize(("classes", "count"), [(2, 29_444_162), (11, 29_449_355), (21, 29_455_125)])
def test_number_of_parameters(classes, count):
    with torch.device("meta"):
        assert parameters(SegNet(2, 3, {"mask": classes})) == count


def test_numbers_of_parameters_of_variants():
    """SegNet-Basic from its table; and what the options take away."""
    convs = 49 * 64 * (3 + 7 * 64)
    with torch.device("meta"):
        basic = SegNet(2, 3, {"mask": 11}, **BASIC)
        assert parameters(basic) == convs + 4 * 64 + 8 * 2 * 64 + 64 * 11 + 11
        decoder = [512] * 5 + [256] * 3 + [128] * 2 + [64] * 2
        assert parameters(SegNet(2, 3, {"mask": 2}, decoder_norm=False)) == 29_444_162 - 2 * sum(decoder)
        assert parameters(SegNet(2, 3, {"mask": 2}, decoder_bias=False)) == 29_444_162 - sum(decoder)


@pytest.mark.parametrize("dims", [2, 3])
def test_is_its_layers_with_torchs_unpooling(any_algorithm, dims):
    net = small(dims, channels=[32, 64, 128], convs=[1, 2, 2], decoder_convs=[1, 2, 1]).eval()
    net.encoder[1][0][1].running_mean += 0.1
    pooling, inverse = ((F.max_pool2d, F.max_unpool2d), (F.max_pool3d, F.max_unpool3d))[dims - 2]
    image = draw(1, 3, *(16, 24, 8)[:dims])
    x, switches = image, []
    for stage in net.encoder:
        for conv, norm, _ in stage:
            x = norm(conv(x)).relu()
        x, places = pooling(x, 2, return_indices=True)
        switches.append(places)
    for stage, places in zip(net.decoder, reversed(switches), strict=True):
        x = inverse(x, places, 2)
        for conv, norm, _ in stage:
            x = norm(conv(x)).relu()
    torch.testing.assert_close(net(image)["mask"], net.last(x))


@given(
    dims=st.sampled_from([2, 3]),
    norm=st.sampled_from(["batch", "group", "none"]),
    act=st.sampled_from(["relu", "maxout", "prelu"]),
    decoder=st.fixed_dictionaries({f"decoder_{key}": st.booleans() for key in ("norm", "act", "bias")}),
    size=st.lists(st.integers(1, 19), min_size=3, max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_every_combination_trains_on_every_size(dims, norm, act, decoder, size):
    net = small(dims, channels=[32, 64], convs=[1, 2], decoder_convs=[1, 2], norm=norm, act=act, **decoder)
    logits = net(draw(1, 3, *size[:dims]))["mask"]
    assert logits.shape == (1, 2, *size[:dims])
    logits.square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_size_of_the_papers_images():
    with torch.device("meta"):
        assert SegNet(2, 3, {"mask": 11}).eval()(torch.empty(1, 3, 360, 480))["mask"].shape == (1, 11, 360, 480)


def test_padding_does_not_reach_far_pixels():
    net, image = small().eval(), draw(1, 3, 256, 256)
    with torch.inference_mode():
        cut, whole = net(image[..., :-7])["mask"], net(image)["mask"]
    torch.testing.assert_close(cut[..., :40], whole[..., :40], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(cut[..., -1], whole[..., -8], rtol=1e-4, atol=1e-4)


def test_segnet_basic_says_that_there_are_no_weights_for_it():
    config = configure("model=segnet_basic", "model.weights=imagenet")
    config.measured = {"spatial_dims": 2, "in_channels": 3, "classes": 2}
    with pytest.raises(UserError) as error:
        build(config.model, "model")
    assert str(error.value) == (
        "model.weights=imagenet: VGG16 is 2D with model.convs=[2, 2, 3, 3, 3] of model.kernel=3; for another network"
        " or volumes set model.weights=null"
    )


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_trained_weights_are_taken_over(norm, monkeypatch):
    monkeypatch.setattr(timm, "create_model", fake_vgg.create_model)
    net = small(norm=norm, weights="imagenet").eval()
    trained = fake_vgg.create_model("vgg16" if norm == "none" else "vgg16_bn", pretrained=True, in_chans=3)
    x = draw(1, 3, 64, 96)
    for stage in net.encoder:
        x = nn.functional.max_pool2d(stage(x), 2)
    torch.testing.assert_close(x, trained.features(draw(1, 3, 64, 96)))


@pytest.mark.parametrize(
    ("dims", "options", "message"),
    [
        (2, {"convs": [2, 2]}, "model.convs=[2, 2] needs a number >= 1 for each of the 5 stages of model.channels"),
        (2, {"decoder_convs": [0] * 5}, "model.decoder_convs=[0, 0, 0, 0, 0] needs a number >= 1 for each of the 5"),
        (2, {"kernel": 4}, "model.kernel=4 must be odd"),
        (2, {"head_kernel": 2}, "model.head_kernel=2 must be odd"),
        (3, {"weights": "imagenet"}, "model.weights=imagenet: VGG16 is 2D with model.convs=[2, 2, 3, 3, 3]"),
        (2, {"norm": "btach"}, "model.norm=btach is not one of batch"),
    ],
)
def test_errors_name_the_key(dims, options, message):
    with torch.device("meta"), pytest.raises(UserError) as error:
        SegNet(dims, 1, {"mask": 2}, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
