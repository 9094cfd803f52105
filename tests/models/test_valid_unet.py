"""The U-Net of valid convolutions: sizes and counts of the paper, translations, one pass and tiles, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segbench.config.instantiation import build
from segbench.data.patches import mirror
from segbench.data.placement import InsideImage
from segbench.errors import UserError
from segbench.inference import OverlapTile, Whole
from segbench.models.unet import UNet
from segbench.models.valid_convolutions import ValidSizes
from tests.made_runs import configure, execute

PAPER = ValidSizes((2, 2, 2, 2, 2), up=0)


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def original(channels=1, **overrides):
    config = configure("model=unet_original", *(f"model.{key}={value}" for key, value in overrides.items()))
    config.measured = {"spatial_dims": 2, "in_channels": channels, "classes": 2, "class_frequencies": [0.5, 0.5]}
    return build(config.model, "model")


def test_the_papers_network():
    with torch.device("meta"):
        net = original()
        assert sum(parameter.numel() for parameter in net.parameters()) == 31_030_658
        shapes = []
        for stage in [*net.encoder, *net.decoder]:
            convs = stage if isinstance(stage, nn.Sequential) else stage.convs
            for layer in convs:
                layer.register_forward_hook(lambda layer, x, y: shapes.append((layer, y.shape[2])))
        image = torch.zeros(1, 1, 572, 572)
        assert net(image)["mask"].shape == (1, 2, 388, 388)
    after_convolutions = [size for layer, size in shapes if not isinstance(layer, nn.MaxPool2d)]
    assert after_convolutions == [
        570, 568, 282, 280, 138, 136, 66, 64, 30, 28, 54, 52, 102, 100, 198, 196, 390, 388,
    ]  # fmt: skip


@pytest.mark.parametrize(("n", "output"), [(188, 4), (204, 20), (572, 388), (252, 68)])
def test_sizes_of_the_paper(n, output):
    assert PAPER.predicted(n) == output


def test_allowed_sizes_are_16_k_plus_12_and_all_but_184_pixels_are_predicted():
    for n in range(600):
        allowed = n >= 188 and n % 16 == 12
        assert PAPER.predicted(n) == (n - 184 if allowed else 0)


@pytest.mark.parametrize(
    ("size", "nearest"), [((572, 571), "[572, 572]"), ((256, 300), "[252, 300]"), ((3, 188), "[188, 188]")]
)
def test_other_sizes_are_told_the_nearest(size, nearest):
    with torch.device("meta"):
        net = original()
        with pytest.raises(UserError) as error:
            net.check_patch(size)
        with pytest.raises(UserError, match=r"data\.patch_size or inference\.window=\["):
            net(torch.zeros(1, 1, *size))
    assert str(error.value) == (
        f"data.patch_size={list(size)}: without padding this network takes 188, 204, 220, .. pixels along an axis, at"
        f" least 188; the nearest size is {nearest}"
    )


def test_a_wrong_patch_is_refused_before_training(tmp_path):
    with pytest.raises(UserError, match=r"data\.patch_size=\[31, 32\]: .* at least 18; the nearest size is \[30, 32\]"):
        execute(tmp_path, "model=unet_original", "data.patch_size=[31,32]")
    assert not list(tmp_path.glob("**/*.ckpt"))


@given(
    dims=st.sampled_from([2, 3]),
    convs=st.lists(st.integers(1, 2), min_size=2, max_size=3),
    down=st.sampled_from(["max_pool", "avg_pool"]),
    up=st.sampled_from([("transposed", True), ("nearest", True), ("nearest", False), ("pixel_shuffle", True)]),
    more=st.integers(0, 2),
)
@settings(max_examples=25, deadline=None)
def test_every_variant_returns_what_the_sizes_say_and_moves_with_the_image(dims, convs, down, up, more):
    net = UNet(
        dims, 1, {"mask": 2}, channels=[2, 3, 4][: len(convs)], convs=convs, norm="none", down=down, up=up[0],
        up_conv=up[1], padding="valid",
    ).double()  # fmt: skip
    stride = 2 ** (len(convs) - 1)
    n = next(n for n in range(1, 100) if net.valid.predicted(n)) + more * stride
    image = draw(1, 1, *[n + stride] * dims).double()
    with torch.inference_mode():
        whole = net(image)["mask"]
        for axis in range(2, dims + 2):
            part = net(image.narrow(axis, stride, n))["mask"]
            kept = whole.narrow(axis, stride, part.shape[axis])
            torch.testing.assert_close(part, kept, atol=1e-9, rtol=1e-7)
    assert whole.shape[2:] == (net.valid.predicted(n + stride),) * dims


def small(**settings):
    torch.manual_seed(0)
    return UNet(2, 1, {"mask": 2, "contour": 1}, channels=[2, 2, 4, 4, 4], norm="none", padding="valid", **settings)


def test_translation_by_16_pixels():
    net, image = small().double(), draw(1, 1, 252, 268).double()
    with torch.inference_mode():
        moved = net(image[..., 16:])["mask"]
        torch.testing.assert_close(moved, net(image)["mask"][..., 16:], atol=1e-10, rtol=1e-7)
        # By another number of pixels the poolings meet other pixels.
        assert not torch.allclose(net(image[..., 8:-8])["mask"], net(image)["mask"][..., 8:-8], atol=1e-6)


def test_tiles_are_one_pass_where_the_step_is_a_multiple_of_the_stride():
    net, image = small(), draw(2, 1, 100, 70)
    with torch.inference_mode():
        tiles = OverlapTile((220, 204), step_multiple=16, batch_size=3)(net, image)
        rows, columns = (torch.from_numpy(mirror(np.arange(-92, n - 92), size)) for n, size in ((300, 100), (268, 70)))
        whole = net(image[:, :, rows][..., columns])
    for head, channels in (("mask", 2), ("contour", 1)):
        assert tiles[head].shape == (2, channels, 100, 70)
        torch.testing.assert_close(tiles[head], whole[head][..., :100, :70], atol=1e-5, rtol=1e-5)


def test_whole_images_are_no_way_to_predict():
    with pytest.raises(UserError, match=r"inference=whole: the network predicts \(4, 20\) of the \(188, 204\) pixels"):
        Whole()(small(), draw(1, 1, 188, 204))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"up": "linear"},
            "model.up=linear reads beyond the border: model.padding=valid goes with transposed, nearest",
        ),
        ({"up": "transposed_3"}, "model.up=transposed_3 reads beyond the border"),
        (
            {"down": "strided_conv"},
            "model.down=strided_conv reads beyond the border: model.padding=valid goes with max",
        ),
        ({"deep_supervision": True}, "model.deep_supervision=true needs model.padding=same"),
        ({"padding": "vaild"}, "model.padding=vaild is not one of same, valid; did you mean valid?"),
    ],
)
def test_errors_name_the_key(options, message):
    with torch.device("meta"), pytest.raises(UserError) as error:
        UNet(2, 1, {"mask": 2}, **({"padding": "valid"} | options))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


# Training


class OneCase:
    """What a placement needs of the training cases."""

    background = 0

    class Case:
        image = np.zeros((1, 40, 30))
        locations = {1: np.array([0, 40 * 30 - 1])}  # noqa: RUF012

    def in_turn(self, k):
        return self.Case()


@pytest.mark.parametrize("foreground", [0.0, 1.0])
def test_what_is_predicted_lies_inside_the_image_and_reaches_its_border(foreground):
    place = InsideImage(foreground, margin=12)
    rng = np.random.default_rng(0)
    starts = np.array([place(OneCase(), k, (44, 34), rng)[1] for k in range(400)])
    first, last = starts + 12, starts + np.array([44 - 12, 34 - 12])
    assert first.min(0).tolist() == [0, 0]
    assert last.max(0).tolist() == [40, 30]


def test_a_run_trains_and_predicts_every_pixel(tmp_path):
    directory = execute(tmp_path, "model=unet_original", "task.sampling.margin=8", "inference.batch_size=16")
    assert directory.finished
