"""The U-Net against published counts, another library, and the theory of its receptive field."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.networks.nets import BasicUNet
from torch import nn

from segbench.errors import UserError
from segbench.models.blocks import ACTIVATIONS, DOWN, INTERPOLATIONS, NORMS, UP
from segbench.models.unet import UNet

PAPER = (64, 128, 256, 512, 1024)
HALF = (32, 64, 128, 256, 512)


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    ("channels", "classes", "options", "count"),
    [
        (1, 2, {}, 31_036_546),
        (3, 1, {}, 31_037_633),
        (1, 2, {"norm": "none"}, 31_030_658),
        (1, 1, {"norm": "none"}, 31_030_593),
        (3, 1, {"norm": "none"}, 31_031_745),
        (3, 2, {"norm": "none"}, 31_031_810),
        (3, 4, {"norm": "none"}, 31_031_940),
        (3, 1, {"norm": "none", "up": "nearest", "up_conv": False}, 31_378_945),
        (3, 1, {"norm": "none", "up": "nearest", "up_conv": False, "channels": HALF}, 7_846_657),
        (1, 2, {"norm": "none", "down": "strided_conv"}, 31_030_658),
        (1, 2, {"norm": "none", "down": "avg_pool", "act": "tanh"}, 31_030_658),
    ],
)
def test_number_of_parameters(channels, classes, options, count):
    with torch.device("meta"):
        assert parameters(UNet(2, channels, {"mask": classes}, **options)) == count


NNUNET = {"norm": "instance", "bias": True, "act": "leaky_relu", "down": "strided_conv", "deep_supervision": True}
NNUNET_2D, NNUNET_3D = (32, 64, 128, 256, 512, 512), (32, 64, 128, 256, 320, 320)


@pytest.mark.parametrize(
    ("dims", "channels", "classes", "stages", "count"),
    [
        (3, 1, 2, NNUNET_3D, 31_195_594),
        (3, 4, 4, NNUNET_3D, 31_199_796),
        (3, 1, 3, NNUNET_3D[:4], 5_603_177),
        (2, 1, 2, NNUNET_2D, 20_619_082),
        (2, 1, 2, (*NNUNET_2D, 512), 33_471_820),
        (2, 1, 2, (*NNUNET_2D, 512, 512), 46_324_558),
    ],
)
def test_number_of_parameters_of_nnunet(dims, channels, classes, stages, count):
    """Networks of nnU-Net v2, counted in its own code with the heads of deep supervision."""
    with torch.device("meta"):
        assert parameters(UNet(dims, channels, {"mask": classes}, channels=stages, **NNUNET)) == count


@pytest.mark.parametrize(
    ("norm", "bias", "expected"),
    [
        ("batch", "auto", False),
        ("none", "auto", True),
        ("instance", "true", True),
        ("instance", True, True),
        ("none", False, False),
    ],
)
def test_biases_are_those_asked_for(norm, bias, expected):
    net = UNet(2, 1, {"mask": 2}, channels=(4, 8), norm=norm, bias=bias)
    convolutions = [module for module in (*net.encoder.modules(), *net.decoder.modules()) if type(module) is nn.Conv2d]
    assert convolutions
    assert {conv.bias is not None for conv in convolutions} == {expected}


def test_numbers_of_parameters_of_variants():
    """Each is the paper's count and what the variant adds to it."""
    paper = 31_030_658
    ups = sum((9 - 4) * low * high for low, high in zip(PAPER[1:], PAPER, strict=False))
    convs = 2 * sum(PAPER) + 2 * sum(PAPER[:-1])
    heads = sum(2 * width + 2 for width in PAPER[1:-1])
    with torch.device("meta"):
        assert parameters(UNet(2, 1, {"mask": 2}, norm="none", up="linear")) == paper + ups
        assert parameters(UNet(2, 1, {"mask": 2}, norm="none", act="prelu")) == paper + convs
        assert parameters(UNet(2, 1, {"mask": 2}, norm="none", deep_supervision=True)) == paper + heads
        assert parameters(UNet(2, 1, {"mask": 2, "contour": 1}, norm="none")) == paper + 65


@given(
    dims=st.sampled_from([2, 3]),
    norm=st.sampled_from(sorted(NORMS)),
    act=st.sampled_from(sorted(ACTIVATIONS)),
    down=st.sampled_from(sorted(DOWN)),
    up=st.sampled_from([(up, conv) for up in UP for conv in (True, False) if conv or up in INTERPOLATIONS]),
    convs=st.sampled_from([1, 2, [1, 3, 2]]),
    deep=st.booleans(),
    size=st.lists(st.integers(1, 19), min_size=3, max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_every_combination_trains_on_every_size(dims, norm, act, down, up, convs, deep, size):
    net = UNet(
        dims, 2, {"mask": 3}, channels=(4, 6, 8), norm=norm, act=act, down=down, up=up[0], up_conv=up[1],
        convs=convs, deep_supervision=deep,
    )  # fmt: skip
    output = net(draw(1, 2, *size[:dims]))["mask"]
    levels = output if deep else [output]
    for level, logits in enumerate(levels):
        assert logits.shape == (1, 3, *(-(-n // 2**level) for n in size[:dims]))
    sum(logits.square().mean() for logits in levels).backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    ("monai_act", "act"), [("relu", "relu"), (("leakyrelu", {"negative_slope": 0.01}), "leaky_relu")]
)
def test_is_monais_basic_unet_with_the_same_weights(dims, monai_act, act):
    """MONAI halves all but the last channels from below, hence two equal widths at the top."""
    theirs = BasicUNet(dims, 2, 3, (8, 8, 16, 32, 64, 8), act=monai_act, norm="batch", bias=False)
    ours = UNet(dims, 2, {"mask": 3}, channels=(8, 8, 16, 32, 64), act=act)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data.copy_(other.data)
    image = draw(2, 2, *(32, 48, 16)[:dims])
    torch.testing.assert_close(ours(image)["mask"], theirs(image), rtol=1e-4, atol=1e-4)


# Receptive field and translations


def smooth_unet(stages):
    """All weights positive and pooling by averages: a gradient of 0 means no connection."""
    net = UNet(2, 1, {"mask": 1}, channels=[1] * stages, norm="none", down="avg_pool").double()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    return net


@pytest.mark.parametrize(("stages", "expected"), [(4, {92, 100}), (5, {188, 204}), (6, {380, 412})])
def test_receptive_field(stages, expected):
    net, stride = smooth_unet(stages), 2 ** (stages - 1)
    image = torch.ones(1, 1, 32 * stride, stride, dtype=torch.float64, requires_grad=True)
    logits = net(image)["mask"]
    fields = set()
    for phase in range(stride):
        pixel = logits[0, 0, 16 * stride + phase, 0]
        (gradient,) = torch.autograd.grad(pixel, image, retain_graph=True)
        fields.add(int((gradient != 0).any(dim=3).sum()))
    assert fields == expected


def test_translation_by_the_stride():
    net = UNet(2, 1, {"mask": 2}, channels=(4, 8, 16)).eval()
    image = draw(1, 1, 128, 128)
    moved = net(image.roll((4, 8), dims=(2, 3)))["mask"]
    expected = net(image)["mask"].roll((4, 8), dims=(2, 3))
    inner = (..., slice(40, -40), slice(40, -40))
    torch.testing.assert_close(moved[inner], expected[inner], rtol=1e-4, atol=1e-4)


def test_padding_does_not_reach_far_pixels():
    net = UNet(2, 1, {"mask": 2}, channels=(4, 8, 16)).eval()
    image = draw(1, 1, 128, 128)
    cut = net(image[..., :-3, :-3])["mask"]
    torch.testing.assert_close(cut[..., :80, :80], net(image)["mask"][..., :80, :80], rtol=1e-4, atol=1e-4)


# Deep supervision, drop-out, errors


def test_finest_output_of_deep_supervision_is_the_plain_output():
    torch.manual_seed(0)
    deep = UNet(2, 1, {"mask": 2}, channels=(4, 8, 16, 32), deep_supervision=True).eval()
    plain = UNet(2, 1, {"mask": 2}, channels=(4, 8, 16, 32)).eval()
    plain.load_state_dict({key: deep.state_dict()[key] for key in plain.state_dict()})
    image = draw(1, 1, 30, 21)
    outputs = deep(image)["mask"]
    assert [tuple(logits.shape[2:]) for logits in outputs] == [(30, 21), (15, 11), (8, 6)]
    assert torch.equal(outputs[0], plain(image)["mask"])


def test_dropout_is_for_training_only():
    net, image = UNet(2, 1, {"mask": 2}, channels=(4, 8), norm="none", dropout=0.5), draw(1, 1, 16, 16)
    assert not torch.equal(net(image)["mask"], net(image)["mask"])
    net.eval()
    assert torch.equal(net(image)["mask"], net(image)["mask"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "btach"}, "model.norm=btach is not one of batch, instance, group, layer, none; did you"),
        ({"act": "gelu"}, "model.act=gelu is not one of relu, leaky_relu, elu, prelu, tanh, sigmoid, maxout"),
        ({"down": "pool"}, "model.down=pool is not one of max_pool, avg_pool, strided_conv"),
        (
            {"up": "bilinear"},
            "model.up=bilinear is not one of transposed, transposed_3, nearest, linear, pixel_shuffle",
        ),
        ({"bias": "maybe"}, "model.bias=maybe is not one of auto, true, false"),
        ({"init": "he"}, "model.init=he is not one of he_normal, xavier, pytorch"),
        ({"channels": [8]}, "model.channels=[8] needs two stages or more, such as [16, 32]"),
        ({"convs": [2, 2]}, "model.convs=[2, 2] needs a number >= 1 for each of the 5 stages of model"),
        ({"convs": 0}, "model.convs=[0, 0, 0, 0, 0] needs a number >= 1 for each of the 5 stages"),
    ],
)
def test_errors_name_the_key(options, message):
    with torch.device("meta"), pytest.raises(UserError) as error:
        UNet(2, 1, {"mask": 2}, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
