"""DCAN: branches that are sums of three resolutions, each a classifier by itself."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from segbench.errors import UserError
from segbench.models.dcan import DCAN, interpolating

AUXILIARY = {"mask": ["mask_1", "mask_2", "mask_3"], "contour": ["contour_1"]}


def net(**options: Any) -> DCAN:
    torch.manual_seed(0)
    heads = dict.fromkeys(("mask", "contour", "mask_1", "mask_2", "mask_3", "contour_1"), 2)
    return DCAN(2, 3, heads, **{"channels": [4] * 6, "auxiliary": AUXILIARY, **options}).eval()


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("enlarging", ["transposed", "linear"])
def test_a_branch_is_the_sum_of_its_classifiers(enlarging: str) -> None:
    outputs = net(enlarging=enlarging)(draw(1, 3, 70, 65))
    assert list(outputs) == ["mask", "contour", "mask_1", "mask_2", "mask_3", "contour_1"]
    torch.testing.assert_close(outputs["mask"], outputs["mask_1"] + outputs["mask_2"] + outputs["mask_3"])
    assert all(logits.shape == (1, 2, 70, 65) for logits in outputs.values())


def test_without_contours_it_is_the_plain_network() -> None:
    whole = net()
    plain = DCAN(2, 3, {"mask": 2}, channels=[4] * 6).eval()
    plain.load_state_dict({name: value for name, value in whole.state_dict().items() if "contour" not in name})
    image = draw(1, 3, 64, 64)
    assert torch.equal(plain(image)["mask"], whole(image)["mask"])


def test_the_branches_share_the_encoder_alone() -> None:
    branched = net()
    branched(draw(1, 3, 64, 64))["contour"].square().mean().backward()
    for name, parameter in branched.named_parameters():
        assert (parameter.grad is None) == name.startswith("branches.mask"), name


@pytest.mark.parametrize("stride", [2, 8, 32])
def test_enlarging_begins_as_linear_interpolation(stride: int) -> None:
    layer = nn.ConvTranspose2d(1, 1, 2 * stride, stride=stride, padding=stride // 2)
    interpolating(layer)
    x = draw(1, 1, 5, 6)
    factor = layer.weight.abs().max() / ((1 - 0.5 / stride) ** 2)
    expected = factor * interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    inner = (..., slice(stride, -stride), slice(stride, -stride))
    torch.testing.assert_close(layer(x)[inner].abs(), expected[inner].abs(), rtol=1e-4, atol=1e-5)


def test_numbers_that_do_not_agree_are_refused() -> None:
    with pytest.raises(UserError, match=r"model.convs=\[1\] needs a number for each of model.channels=\[4, 4, 4\]"):
        net(channels=[4] * 3, convs=[1])
    with pytest.raises(UserError, match=r"model.auxiliary.mask: b must be one of 3 heads with as many"):
        DCAN(2, 3, {"mask": 2, "b": 1}, channels=[4] * 6, auxiliary={"mask": ["b"]})
