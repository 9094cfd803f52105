"""DeconvNet against the paper's table and counts."""

import pytest
import timm
import torch
from torch import nn

from segbench.errors import UserError
from segbench.models.deconvnet import DeconvNet
from segbench.models.vgg import Unit
from tests.models import fake_vgg

TABLE = [
    (64, 224), (64, 224), (128, 112), (128, 112), (256, 56), (256, 56), (256, 56), (512, 28), (512, 28), (512, 28),
    (512, 14), (512, 14), (512, 14), (4096, 1), (4096, 1), (512, 7), (512, 14), (512, 14), (512, 14), (512, 28),
    (512, 28), (256, 28), (256, 56), (256, 56), (128, 56), (128, 112), (64, 112), (64, 224), (64, 224),
]  # fmt: skip
"""Channels and size behind every layer of the paper's network."""


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def small(**options):
    torch.manual_seed(0)
    return DeconvNet(2, 3, {"mask": 2}, **{"width": 1 / 16} | options)


@pytest.mark.parametrize(("classes", "count"), [(2, 251_804_418), (21, 251_805_653)])
def test_number_of_parameters(classes, count):
    with torch.device("meta"):
        net = DeconvNet(2, 3, {"mask": classes})
    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_layers_of_the_paper():
    found = []
    with torch.device("meta"):
        net = DeconvNet(2, 3, {"mask": 21}, fc6_padding=0).eval()
        for unit in net.modules():
            if isinstance(unit, Unit):
                unit.register_forward_hook(lambda _, __, output: found.append((output.shape[1], output.shape[2])))
        assert net(torch.empty(1, 3, 224, 224))["mask"].shape == (1, 21, 224, 224)
    assert found == TABLE
    assert [type(unit[0]) for stage in net.decoder for unit in stage] == [nn.ConvTranspose2d] * 13


@pytest.mark.parametrize("size", [(1, 1), (225, 100), (256, 300)])
def test_the_papers_form_takes_every_size(size):
    net = small(fc6_padding=0, width=1 / 64).eval()
    assert net(draw(1, 3, *size))["mask"].shape == (1, 2, *size)


def test_values_return_to_where_the_maxima_were():
    """Of each 2x2 window, the first layer behind the last unpooling sees the place of the maximum alone."""
    net, seen = small().eval(), []
    net.encoder[0].register_forward_hook(lambda _, __, output: seen.append(output))
    net.decoder[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        net(draw(1, 3, 64, 64))
    pooled, unpooled = seen
    windows = pooled.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    places = unpooled.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert ((places != 0).sum(dim=4) <= 1).all()
    filled = (places != 0).any(dim=4)
    assert filled.any()
    assert torch.equal(places.ne(0).int().argmax(dim=4)[filled], windows.argmax(dim=4)[filled])


def test_a_single_pixel_has_no_variance():
    with pytest.raises(UserError, match=r"model\.fc6_padding=0 makes a single pixel .* data\.batch_size=2"):
        small(fc6_padding=0, width=1 / 64)(draw(1, 3, 64, 64))
    for net, batch in [
        (small(fc6_padding=0, width=1 / 64), 2),
        (small(fc6_padding=0, width=1 / 64, norm="none"), 1),
        (small(fc6_padding=0, width=1 / 64).eval(), 1),
    ]:
        assert net(draw(batch, 3, 64, 64))["mask"].isfinite().all()


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_trained_weights_are_taken_over(norm, monkeypatch):
    monkeypatch.setattr(timm, "create_model", fake_vgg.create_model)
    net = small(width=fake_vgg.WIDTH, norm=norm, weights="imagenet", fc6_padding=0).eval()
    trained = fake_vgg.create_model("vgg16" if norm == "none" else "vgg16_bn", pretrained=True, in_chans=3)
    x = draw(1, 3, 224, 224)
    with torch.inference_mode():
        for stage in net.encoder:
            x = nn.functional.max_pool2d(stage(x), 2)
        torch.testing.assert_close(x, trained.features(draw(1, 3, 224, 224)))
        torch.testing.assert_close(net.fc6[0](x), trained.pre_logits.fc1(x))
    assert torch.equal(net.fc7[0].weight, trained.pre_logits.fc2.weight)


@pytest.mark.parametrize(
    ("dims", "options", "message"),
    [
        (3, {}, "DeconvNet is 2D only, but the data has 3 spatial dimensions; model=unet"),
        (2, {"fc6_padding": 1}, "model.fc6_padding=1 must be 0, for images of 224 pixels, or 3"),
        (2, {"act": "gelu"}, "model.act=gelu is not one of relu"),
    ],
)
def test_errors_name_the_key(dims, options, message):
    with torch.device("meta"), pytest.raises(UserError) as error:
        DeconvNet(dims, 1, {"mask": 2}, **options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
