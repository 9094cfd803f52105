"""Networks of the user's own."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from segbench.errors import UserError
from segbench.models.external import External


class Returns(nn.Module):
    """Returns what a function makes of the image."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, image):
        return self.function(image)


def run(function, image, **heads):
    return External(Returns(function), spatial_dims=image.ndim - 2, in_channels=image.shape[1], heads=heads)(image)


@pytest.mark.parametrize("size", [(6, 5), (6, 5, 4)])
def test_one_tensor_is_dealt_out_to_the_heads(size):
    image = torch.rand(2, 3, *size)
    outputs = run(lambda x: x, image, mask=2, contour=1)
    assert torch.equal(outputs["mask"], image[:, :2])
    assert torch.equal(outputs["contour"], image[:, 2:])


@pytest.mark.parametrize("kind", [list, tuple])
def test_list_is_deep_supervision(kind):
    image = torch.rand(2, 3, 6, 4)
    outputs = run(lambda x: kind([x, x[..., ::2, ::2]]), image, mask=2, contour=1)
    assert [logits.shape for logits in outputs["mask"]] == [(2, 2, 6, 4), (2, 2, 3, 2)]
    assert torch.equal(outputs["contour"][1], image[:, 2:, ::2, ::2])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:, :1], "returns 1 channels, the heads need 3 (mask: 2, contour: 1)"),
        (lambda x: [x, x[:, :1]], "returns 1 channels, the heads need 3 (mask: 2, contour: 1)"),
        (lambda x: x[..., 1:-1], "returns logits of size (6, 3) for an image of size (6, 5); the sizes must be equal"),
        (lambda x: {"seg": x}, "not one with seg"),
        (lambda x: "text", "not a str"),
        (lambda x: [], "not an empty list"),
    ],
)
def test_errors_say_what_is_wrong(function, message):
    with pytest.raises(UserError) as error:
        run(function, torch.rand(2, 3, 6, 5), mask=2, contour=1)
    assert str(error.value).startswith("model.net=Returns ")
    assert message in str(error.value)


def test_one_channel_for_two_classes_is_the_logit_of_the_second():
    image = torch.randn(2, 1, 6, 5)
    logits = run(lambda x: x, image, mask=2)["mask"]
    torch.testing.assert_close(logits.softmax(1)[:, 1:], image.sigmoid())
    levels = run(lambda x: [x, x[..., ::2, ::2]], image, mask=2)["mask"]
    assert [level.shape for level in levels] == [(2, 2, 6, 5), (2, 2, 3, 3)]


def test_dictionaries_by_head_and_of_torchvision():
    image = torch.rand(2, 3, 6, 5)
    outputs = run(lambda x: {"contour": x[:, 2:], "mask": x[:, :2], "more": 0}, image, mask=2, contour=1)
    assert torch.equal(outputs["mask"], image[:, :2])
    assert torch.equal(outputs["contour"], image[:, 2:])
    assert torch.equal(run(lambda x: {"out": x, "aux": x[:, :1]}, image, mask=3)["mask"], image)


def test_a_network_of_torchvision_as_it_is():
    net = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2)
    model = External(net, 2, 1, {"mask": 2}, input_channels=3)
    model.check_patch([64, 64])
    assert model.eval()(torch.rand(1, 1, 50, 70))["mask"].shape == (1, 2, 50, 70)


class Output(OrderedDict):
    """As transformers' networks return it: a dictionary that has its keys as attributes."""

    def __getattr__(self, key):
        return self[key]


def test_logits_of_transformers_at_a_quarter_of_the_size():
    image = torch.rand(2, 3, 16, 12)
    small = image[..., ::4, ::4]
    found = run(lambda x: Output(logits=x[..., ::4, ::4], hidden=0), image, mask=3)["mask"]
    torch.testing.assert_close(found, interpolate(small, size=(16, 12), mode="bilinear", align_corners=False))
    with pytest.raises(UserError, match=r"model\.upsample=true"):
        run(lambda x: x[..., ::4, ::4], image, mask=3)
    torch.testing.assert_close(
        External(Returns(lambda x: x[..., ::4, ::4]), 2, 3, {"mask": 3}, upsample=True)(image)["mask"], found
    )


def halves_five_times(image):
    small = image
    for _ in range(5):
        small = max_pool2d(small, 2)
    return torch.cat([image, interpolate(small, scale_factor=32)], dim=1)


def test_images_are_padded_where_the_network_needs_it():
    image = torch.rand(1, 1, 40, 33)
    with pytest.raises(UserError, match=r"fails on a batch of size \(2, 1, 40, 33\): .*model\.divisible_by=32"):
        External(Returns(halves_five_times), 2, 1, {"mask": 2}).check_patch([40, 33])
    model = External(Returns(halves_five_times), 2, 1, {"mask": 2}, divisible_by=32)
    model.check_patch([40, 33])
    assert torch.equal(model(image)["mask"][:, :1], image)


def test_a_network_for_colours_on_grey_images():
    net = nn.Conv2d(3, 2, 1)
    with pytest.raises(UserError, match=r"got 1 channels.*say model\.input_channels=3"):
        External(net, 2, 1, {"mask": 2}).check_patch([8, 8])
    image = torch.rand(1, 1, 8, 8)
    model = External(net, 2, 1, {"mask": 2}, input_channels=3)
    torch.testing.assert_close(model(image)["mask"], net(image.expand(-1, 3, -1, -1)))
    with pytest.raises(UserError, match="only grey images are repeated, these have 2 channels"):
        External(net, 2, 2, {"mask": 2}, input_channels=3)


@pytest.mark.parametrize(("end", "channels"), [(lambda x: x.softmax(1), 3), (torch.sigmoid, 1)])
def test_probabilities_are_noticed_and_taken_as_such(end, channels):
    image = torch.randn(2, channels, 6, 5)
    heads = {"mask": max(2, channels)}
    with pytest.raises(UserError, match=r"ends in a softmax or sigmoid.*returns=probabilities"):
        External(Returns(end), 2, channels, heads).check_patch([6, 5])
    External(Returns(lambda x: x), 2, channels, heads).check_patch([6, 5])
    found = External(Returns(end), 2, channels, heads, returns="probabilities")(image)["mask"]
    wanted = image if channels > 1 else torch.cat([torch.zeros_like(image), image], dim=1)
    torch.testing.assert_close(found.log_softmax(1), wanted.log_softmax(1), atol=1e-4, rtol=1e-4)


def test_trying_a_network_leaves_no_trace():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Conv2d(1, 2, 1))
    model = External(net, 2, 1, {"mask": 2})
    before, state = {key: value.clone() for key, value in model.state_dict().items()}, torch.get_rng_state()
    model.check_patch([8, 8])
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_an_error_of_the_network_itself_stays_a_traceback():
    with pytest.raises(RuntimeError, match="mine"):
        External(Returns(lambda x: (_ for _ in ()).throw(RuntimeError("mine"))), 2, 1, {"mask": 2}).check_patch([8, 8])
