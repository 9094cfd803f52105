"""The planned U-Net: of isotropic strides the one of models/unet.py, sizes of its resolutions, errors."""

import pytest
import torch

from segbench.errors import UserError
from segbench.models.nnunet import NnUNet
from segbench.models.unet import UNet

FLAT = {"channels": [4, 8, 8, 8], "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 1]],
        "kernels": [[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3]]}  # fmt: skip


def isotropic(dims, stages):
    return {"strides": [[1] * dims, *[[2] * dims] * (stages - 1)], "kernels": [[3] * dims] * stages}


def draw(*size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dims", [2, 3])
def test_of_isotropic_strides_it_is_the_fixed_one(dims):
    planned = NnUNet(dims, 2, {"mask": 3}, channels=[4, 8, 16], **isotropic(dims, 3)).eval()
    fixed = UNet(dims, 2, {"mask": 3}, channels=[4, 8, 16], norm="instance", bias=True, act="leaky_relu",
                 down="strided_conv", deep_supervision=True).eval()  # fmt: skip
    # The planned one has all transposed convolutions before all convolutions of the decoder.
    weights = list(planned.state_dict().values())
    named = fixed.state_dict()
    theirs = sorted(named, key=lambda key: (not key.startswith("encoder"), key.startswith("heads"), ".up." not in key))
    assert len(weights) == len(theirs)
    fixed.load_state_dict(dict(zip(theirs, weights, strict=True)))
    image = draw(1, 2, *(20, 13, 9)[:dims])
    with torch.inference_mode():
        for one, other in zip(planned(image)["mask"], fixed(image)["mask"], strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_resolutions_of_thick_slices(encoder):
    net = NnUNet(3, 1, {"mask": 2}, **FLAT, encoder=encoder)
    assert net.divisor == (2, 8, 4)
    shapes = [tuple(level.shape[2:]) for level in net(draw(1, 1, 3, 17, 10))["mask"]]
    assert shapes == [(3, 17, 10), (3, 9, 5), (2, 5, 3)]


def test_fewer_channels_are_fewer_stages():
    net = NnUNet(3, 1, {"mask": 2}, **FLAT | {"channels": [4, 8]})
    assert len(net.encoder) == 2
    assert net.divisor == (1, 2, 2)


def test_a_residual_block_that_adds_nothing_is_its_shortcut():
    net = NnUNet(2, 1, {"mask": 2}, channels=[4, 8], **isotropic(2, 2), encoder="residual", convs=[1, 2], norm="none")
    block = net.encoder[1][1]  # of as many channels in as out, without a stride
    torch.nn.init.zeros_(block.convs[1][0].weight)
    x = draw(1, 8, 6, 6).abs()
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": [4] * 5}, r"model\.strides=.*for each stage of model\.channels, which has 5"),
        ({"channels": [4]}, "two stages or more"),
        ({"kernels": [[3, 3]] * 4}, r"model\.kernels=.* must have 3 numbers for each stage"),
        ({"convs": [2, 2]}, r"model\.convs=\[2, 2\]: must have a number >= 1 for each of 4 stages"),
        ({"norm": "batsh"}, r"model\.norm=batsh is not one of"),
    ],
)
def test_errors_name_the_key(change, message):
    with pytest.raises(UserError, match=message):
        NnUNet(3, 1, {"mask": 2}, **FLAT | change)
