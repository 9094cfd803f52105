"""Cascades: networks that see the image and what the one before said."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segbench.errors import UserError
from segbench.models.cascade import Cascade
from segbench.models.unet import UNet

UNET = partial(UNet, channels=[2, 4], norm="none")
STAGES = ["one", "two", "three"]


class Echo(nn.Module):
    """Returns what it sees, as many channels as each head has."""

    def __init__(self, spatial_dims: int, in_channels: int, heads: dict[str, int]) -> None:
        super().__init__()
        self.in_channels, self.heads = in_channels, heads
        self.seen: Tensor | None = None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        assert image.shape[1] == self.in_channels
        self.seen = image
        return {
            head: image.sum(1, keepdim=True) * torch.arange(1, k + 1)[:, None, None] for head, k in self.heads.items()
        }


def echoes(heads: dict[str, int], stages: list[list[str]], **options: Any) -> Cascade:
    return Cascade(2, 3, heads, net=Echo, stages=stages, **options)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_each_sees_the_image_and_what_the_one_before_said() -> None:
    net, image = echoes({"mask": 2, "maps": 4}, [["maps"], ["mask"]]), draw(2, 3, 5, 6)
    outputs = net(image)
    assert list(outputs) == ["mask", "maps"]
    assert torch.equal(net.nets[0].seen, image)
    assert torch.equal(net.nets[1].seen, torch.cat([image, outputs["maps"]], dim=1))
    alone = echoes({"mask": 2, "maps": 4}, [["maps"], ["mask"]], sees_image=False)
    outputs = alone(image)
    assert torch.equal(alone.nets[1].seen, outputs["maps"])


@pytest.mark.parametrize(("says", "channels"), [("probabilities", 3), ("foreground", 2), ("values", 3)])
def test_what_is_said(says: str, channels: int) -> None:
    net, image = echoes({"one": 3, "two": 3}, [["one"], ["two"]], says=says, before=0.25), draw(1, 3, 4, 4)
    outputs = net(image)
    assert (net.nets[0].seen[:, 3:] == 0.25).all()
    said = net.nets[1].seen[:, 3:]
    assert said.shape[1] == channels == net.nets[0].seen.shape[1] - 3
    if says != "values":
        torch.testing.assert_close(said, outputs["one"].softmax(1)[:, 3 - channels :])


def test_a_single_logit_says_its_probability() -> None:
    for says in ("probabilities", "foreground"):
        net, image = echoes({"one": 1, "two": 1}, [["one"], ["two"]], says=says), draw(1, 3, 4, 4)
        outputs = net(image)
        torch.testing.assert_close(net.nets[1].seen[:, 3:], outputs["one"].sigmoid())


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_a_head_is_the_mean_of_the_probabilities_of_others(classes: int) -> None:
    heads = {"mask": classes, **dict.fromkeys(STAGES, classes)}
    net = Cascade(
        2, 3, heads, net=UNET, stages=[[one] for one in STAGES], means={"mask": STAGES}, says="foreground", before=0.5
    )
    outputs = net(5 * draw(2, 3, 8, 8))
    probabilities = torch.sigmoid if classes == 1 else partial(torch.softmax, dim=1)
    expected = sum(probabilities(outputs[one]) for one in STAGES) / 3
    torch.testing.assert_close(probabilities(outputs["mask"]), expected)


def test_the_mean_of_values_is_that_of_values() -> None:
    net = Cascade(2, 3, {"out": 2, "a": 2, "b": 2}, net=UNET, stages=[["a"], ["b"]], means={"out": ["a", "b"]})
    outputs = net(draw(2, 3, 8, 8))
    torch.testing.assert_close(outputs["out"], (outputs["a"] + outputs["b"]) / 2)


def test_stages_that_the_task_lacks_are_left_out() -> None:
    options: dict[str, Any] = {"stages": [["one"], ["two"], ["three"]], "means": {"mask": STAGES}}
    assert [net.heads for net in echoes({"mask": 2}, **options).nets] == [{"mask": 2}]
    assert [net.heads for net in echoes({"mask": 2, "two": 2}, **options).nets] == [{"two": 2}, {"mask": 2}]


def test_channels_apart_are_heads_of_their_own() -> None:
    net, image = echoes({"maps": 3, "mask": 2}, [["maps"], ["mask"]], apart=["maps"]), draw(1, 3, 4, 4)
    assert net.nets[0].heads == {"maps_1": 1, "maps_2": 1, "maps_3": 1}
    torch.testing.assert_close(net(image)["maps"], image.sum(1, keepdim=True).expand(-1, 3, -1, -1))


def test_the_loss_of_the_last_reaches_the_first() -> None:
    net = Cascade(2, 3, {"maps": 2, "mask": 2}, net=UNET, stages=[["maps"], ["mask"]])
    net(draw(2, 3, 8, 8))["mask"].square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.nets[0].parameters())


def test_wrong_stages_are_refused() -> None:
    with pytest.raises(UserError, match=r"model.stages: one is in 2 stages"):
        echoes({"one": 2}, [["one"], ["one"]])
    with pytest.raises(UserError, match=r"model.says=words is not one of values"):
        echoes({"one": 2}, [["one"]], says="words")
    valid = partial(UNet, channels=[2, 4], padding="valid")
    with pytest.raises(UserError, match=r"predicts all that it sees: padding=same"):
        Cascade(2, 3, {"one": 2, "mask": 2}, net=valid, stages=[["one"], ["mask"]])(draw(1, 3, 20, 20))
