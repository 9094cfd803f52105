"""What every model of conf/model must do: the one contract that all share."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
every_model = pytest.mark.parametrize("name", NAMES)


class Plain(nn.Module):
    """A network of a user, for conf/model/external.yaml."""

    def __init__(self, n_channels, heads):
        super().__init__()
        self.first = nn.Conv2d(n_channels, 4, 3, padding=1)
        self.last = nn.Conv2d(4, sum(heads.values()), 1)

    def forward(self, x):
        return self.last(self.first(x).relu())


NEEDED = {
    "external": [
        f"model.net._target_={__name__}.Plain",
        "+model.net.n_channels=${model.in_channels}",
        "+model.net.heads=${model.heads}",
    ]
}
"""What a YAML leaves to the user."""


@pytest.fixture(scope="module")
def build():
    """Builds a model of conf/model for 2D images, with weights drawn from a seed."""
    with initialize_config_dir(str(CONF), version_base=None):

        def from_yaml(name, channels=1, seed=0, **heads):
            data = ["+measured.spatial_dims=2", f"+measured.in_channels={channels}"]
            task = [f"+task.heads.{head}={classes}" for head, classes in (heads or {"mask": 2}).items()]
            config = compose(overrides=[f"+model={name}", *NEEDED.get(name, []), *data, *task])
            torch.manual_seed(seed)
            return instantiate(config, _convert_="all")["model"]

        yield from_yaml


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


@every_model
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 4), (5, 2)])
def test_output_has_the_size_of_the_image(build, name, channels, classes):
    net = build(name, channels, mask=classes).eval()
    for size in [(64, 64), (33, 47), (5, 3), (1, 1)]:
        with torch.inference_mode():
            outputs = net(draw(1, channels, *size))
        assert list(outputs) == ["mask"]
        assert outputs["mask"].shape == (1, classes, *size)
        assert outputs["mask"].dtype == torch.float32
        assert outputs["mask"].isfinite().all()


@every_model
def test_several_heads(build, name):
    outputs = build(name, mask=3, contour=1).eval()(draw(2, 1, 32, 48))
    assert {head: logits.shape for head, logits in outputs.items()} == {
        "mask": (2, 3, 32, 48),
        "contour": (2, 1, 32, 48),
    }


@every_model
@pytest.mark.parametrize("size", [(32, 32), (7, 5)])
def test_trains_on_a_single_image(build, name, size):
    """Batch norm included, which has no variance where a channel is a single value."""
    net = build(name).train()
    net(draw(1, 1, *size))["mask"].square().mean().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    for key, buffer in net.named_buffers():
        assert buffer.isfinite().all(), key


@every_model
def test_every_output_depends_on_every_input_channel(build, name):
    image = draw(1, 3, 32, 32).requires_grad_()
    logits = build(name, 3, mask=4).eval()(image)["mask"]
    for k in range(4):
        (gradient,) = torch.autograd.grad(logits[:, k].sum(), image, retain_graph=True)
        assert (gradient != 0).any(dim=3).any(dim=2).all()


@every_model
def test_bfloat16(build, name):
    net = build(name).train().bfloat16()
    logits = net(draw(2, 1, 33, 32).bfloat16())["mask"]
    assert logits.dtype == torch.bfloat16
    logits.float().square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@every_model
def test_channels_last_is_the_same_network(build, name):
    net, image = build(name).eval(), draw(2, 1, 40, 32)
    with torch.inference_mode():
        expected = net(image)["mask"]
        logits = net.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))["mask"]
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


@every_model
def test_weights_survive_a_checkpoint(build, name, tmp_path):
    net, other, image = build(name).train(), build(name, seed=1).eval(), draw(2, 1, 32, 32)
    net(image)  # moves the running statistics off their first values
    torch.save(net.eval().state_dict(), tmp_path / "weights.pt")
    with torch.inference_mode():
        assert not torch.equal(other(image)["mask"], net(image)["mask"])
        other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
        assert torch.equal(other(image)["mask"], net(image)["mask"])


@every_model
def test_same_seed_same_weights(build, name):
    first, second = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_model
def test_exports(build, name):
    net, image = build(name).eval(), draw(1, 1, 40, 32)
    program = torch.export.export(net, (image,))
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(image)["mask"], net(image)["mask"], rtol=1e-4, atol=1e-4)


@every_model
def test_compiles_in_one_graph(build, name):
    """The graph alone, without the compiler behind it, which takes a minute for each network."""
    net, image = build(name).train(), draw(2, 1, 40, 32)
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    compiled(image)["mask"].square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.slow
@every_model
def test_compiled_is_the_same_network(build, name):
    net, image = build(name).eval(), draw(1, 1, 40, 32)
    with torch.inference_mode():
        logits = torch.compile(net, fullgraph=True)(image)["mask"]
        torch.testing.assert_close(logits, net(image)["mask"], rtol=1e-3, atol=1e-3)
