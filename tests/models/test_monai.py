"""The networks of MONAI: the library's own where the size fits, counts by hand, errors."""

import pytest
import torch
from monai.networks.nets import AttentionUnet, BasicUNetPlusPlus, SegResNet, UNet

from segbench.config import instantiation
from segbench.errors import UserError
from tests.made_runs import configure

NAMES = ("attention_unet", "residual_unet", "segresnet", "unetplusplus")


def build(name, *overrides, dims=2, channels=1, heads=None):
    config = configure(f"model={name}", *(f"model.{override}" for override in overrides))
    config.measured = {"spatial_dims": dims, "in_channels": channels, "classes": 2, "class_frequencies": [0.5, 0.5]}
    config.task.heads = heads or {"mask": 2}
    return instantiation.build(config.model, "model")


def draw(*size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(
    ("name", "widths", "make"),
    [
        ("attention_unet", [4, 8, 16], lambda d: AttentionUnet(d, 2, 3, (4, 8, 16), (2, 2))),
        (
            "residual_unet",
            [4, 8, 16],
            lambda d: UNet(d, 2, 3, (4, 8, 16), (2, 2), num_res_units=2, norm="batch", act="relu"),
        ),
        ("segresnet", [8, 16, 32, 64], lambda d: SegResNet(d, 8, 2, 3)),
    ],
)
def test_is_the_librarys_network_where_the_size_fits(name, widths, make, dims):
    net = build(name, f"channels={widths}", dims=dims, channels=2, heads={"mask": 2, "contour": 1}).eval()
    theirs = make(dims).eval()
    theirs.load_state_dict(net.net.state_dict())
    image = draw(2, 2, *(32, 16, 16)[:dims])
    with torch.inference_mode():
        outputs, expected = net(image), theirs(image)
    assert torch.equal(outputs["mask"], expected[:, :2])
    assert torch.equal(outputs["contour"], expected[:, 2:])


def test_nested_skips_are_the_mean_of_all_decoders():
    net = build("unetplusplus", "channels=[4,4,8,8,16]").eval()
    theirs = BasicUNetPlusPlus(2, 1, 2, (4, 4, 8, 8, 16, 4), True, act="relu", norm="batch").eval()
    theirs.load_state_dict(net.net.net.state_dict())
    image = draw(1, 1, 32, 48)
    with torch.inference_mode():
        torch.testing.assert_close(net(image)["mask"], sum(theirs(image)) / 4)


@pytest.mark.parametrize("name", NAMES)
def test_widths_are_those_of_the_unet(name):
    """31 million parameters, give or take what makes the network another one."""
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in build(name).parameters())
    assert 25_000_000 < count < 37_000_000


@pytest.mark.parametrize("name", NAMES)
def test_volumes_of_odd_sizes(name):
    widths = "channels=[8,8,8,8,8]" if name == "unetplusplus" else "channels=[8,16]"
    more = ["net.down=[1,1]"] if name == "segresnet" else []
    net = build(name, widths, *more, dims=3).eval()
    with torch.inference_mode():
        assert net(draw(1, 1, 5, 9, 3))["mask"].shape == (1, 2, 5, 9, 3)


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("attention_unet", "channels=[8]", r"model\.channels=\[8\] needs two stages or more"),
        ("segresnet", "channels=[8,16,24,64]", r"SegResNet doubles them, so give \[8, 16, 32, 64\]"),
        ("segresnet", "channels=[8,16]", r"model\.net\.down=\[1, 2, 2, 4\] needs a number for each of the 2 stages"),
        ("unetplusplus", "channels=[8,16]", r"model\.channels=\[8, 16\]: MONAI's U-Net\+\+ has five stages"),
    ],
)
def test_errors_name_the_key(name, override, message):
    with pytest.raises(UserError, match=message):
        build(name, override)
