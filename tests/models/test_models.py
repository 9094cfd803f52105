"""What every model of conf/model must do: the one contract that all share."""

import copy
import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from segbench.config import instantiation
from segbench.errors import UserError
from segbench.models.blocks import ACTIVATIONS
from segbench.models.estimator import Estimator, TrainingCase
from tests.made_runs import configure

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
        f"+model.net._target_={__name__}.Plain",
        "+model.net.n_channels=${model.in_channels}",
        "+model.net.heads=${model.heads}",
    ],
    # Scores that start at zero are independent of the image, as they should be.
    **dict.fromkeys(("fcn32s", "fcn16s", "fcn8s"), ("model.width=0.0625", "model.zero_scores=false")),
    **dict.fromkeys(("deconvnet", "segnet", "segnet_basic"), ("model.width=0.0625",)),
    **dict.fromkeys(("unet", "unet_small", "unet_original"), ("model.channels=[4,8,16]",)),
    # Without heads at every resolution: the contract is about the finest.
    **dict.fromkeys(("nnunet_2d", "nnunet_3d"), ("model.channels=[4,8,16]", "model.deep_supervision=false")),
    **dict.fromkeys(("attention_unet", "residual_unet"), ("model.channels=[4,8,16]",)),
    **dict.fromkeys(
        ("nnunet", "nnunet_residual", "nnunet_slices", "nnunet_neighbours"), ("model.deep_supervision=false",)
    ),
    **dict.fromkeys(("unet3d_cicek", "unet3d_zeng", "dynunet"), ("model.channels=[4,8,16]",)),
    **dict.fromkeys(("vnet", "vnet_release"), ("model.channels=[4,8]",)),
    "voxresnet": ["model.channels=[4,8]"],
    **dict.fromkeys(("attentionboost", "fouriernet"), ("model.net.channels=[4,8,16]",)),
    **dict.fromkeys(("care", "deepresolve"), ("model.width=4",)),
    "care_projection": ["model.width=2", "model.net_width=4"],
    **dict.fromkeys(("deepdistance", "deepdistance_extended"), ("model.channels=[4,8,16]",)),
    "dcan": ["model.channels=[4,4,8,8,8,8]"],
    "nguyen_yae": ["model.width=0.5"],
    "segnetmri": ["model.net.channels=[4,8]", "model.blocks=2"],
    "swin_unetr": ["model.net.features=12", "model.net.depths=[1,1,1,1]", "model.net.window_size=2"],
    "unetr": [
        "model.net.features=4",
        "model.net.hidden_size=24",
        "model.net.mlp_dim=24",
        "model.net.num_heads=2",
        "data.patch_size=[32,48]",
    ],
    "mednext": ["model.net.features=4", "model.net.blocks=[1,1,1,1,1]"],
    "segresnet": ["model.channels=[8,16,32]", "model.net.down=[1,1,1]"],
    "unetplusplus": ["model.channels=[4,4,4,8,8]"],
    **{name: ["model.encoder=tu-resnet10t"] for name in NAMES if name.startswith("smp_") and name != "smp_dpt"},
    **{name: ["model.width=4", "model.features=8"] for name in NAMES if name.startswith("context_")},
    "sliding_window_cnn": ["model.channels=[4,4,4,4]", "model.hidden=8"],
    "random_forest": ["model.trees=5", "model.sigmas=[1.0]"],
    "torchvision_classifier": ["model.net._target_=torchvision.models.shufflenet_v2_x0_5"],
    "smp_dpt": ["+model.net.decoder_intermediate_channels=[8,16,16,16]", "+model.net.decoder_fusion_channels=16"],
}
"""What a YAML leaves to the user, and what makes a large network small: the contract does not depend on width."""

PLANNED = {
    dims: {"features": [4, 8, 8], "strides": [[1] * dims, [1, *[2] * (dims - 1)], [2] * dims],
           "kernels": [[1, *[3] * (dims - 1)], *[[3] * dims] * 2], "convs": [2, 1, 2], "decoder_convs": [1, 2],
           "patch_size": [16] * dims, "batch_size": 2}
    for dims in (2, 3)
}  # fmt: skip
"""The plan of thick slices, for models that are planned."""

ANY_SIZE = {size: size for size in [(40, 32), (33, 47), (5, 3), (1, 1)]}
CLASSIFIERS = {"mlp", "lenet", "torchvision_classifier", *(name for name in NAMES if name.startswith("context_"))}
SIZES = {
    **dict.fromkeys(CLASSIFIERS, dict.fromkeys(ANY_SIZE, (1, 1))),
    "sliding_window_cnn": {(95, 95): (1, 1), (99, 97): (5, 3)},
    "unet_original": {(44, 48): (4, 8), (60, 44): (20, 4)},
    "unet3d_cicek": {(44, 48): (4, 8), (60, 44): (20, 4)},
    "unetr": {(32, 48): (32, 48)},
}
"""Sizes of images that a network takes and of the logits that it returns for them, for networks that do not take any
size or predict less than they see. The first is what most tests use."""

NO_GRAPH = "MONAI calls torch.jit.isinstance, which the compiler does not trace"
NO_TRACE = "MONAI checks the size of the image with NumPy, which the compiler does not trace"
CANNOT: dict[str, dict[str, str]] = {
    "unetplusplus": dict.fromkeys(("test_compiles_in_one_graph", "test_compiled_is_the_same_network"), NO_GRAPH),
    "care_projection": {"test_gradients_reach_every_parameter": "a stack of one slice, which needs no weights"},
    "swin_unetr": dict.fromkeys(("test_compiles_in_one_graph", "test_compiled_is_the_same_network"), NO_TRACE),
}
"""Model -> test of this file -> why it does not apply."""


MANY_LAYERS = {name for name in NAMES if name.startswith("smp_")} - {"smp_unet"} | {"unetr", "mednext"}
"""Networks that take the compiler some seconds to read; what is ours in them is the same as in smp_unet."""


def sizes(name):
    return SIZES.get(name, ANY_SIZE)


@cache
def configuration(name):
    return configure(f"model={name}", *NEEDED.get(name, []))


def fresh(name, channels=1, seed=0, model=None, dims=2, **heads):
    """A model of conf/model for images or volumes, with weights drawn from a seed; fitted, where it is to be fitted."""
    config = copy.deepcopy(configuration(name))
    config.model = OmegaConf.merge(config.model, model or {})
    classes = heads.get("mask", 2)
    config.measured = {"spatial_dims": dims, "in_channels": channels, "classes": classes,
                       "class_frequencies": [1 / classes] * classes, "plan": PLANNED[dims]}  # fmt: skip
    OmegaConf.update(config, "task.heads", heads or {"mask": 2}, merge=False)
    torch.manual_seed(seed)
    net = instantiation.build(config.model, "model")
    if isinstance(net, Estimator):
        rng = np.random.default_rng(seed)
        image = rng.normal(size=(2, channels, 40, 32)).astype(np.float32)
        net.fit([TrainingCase(one, (one[0] > 0).astype(np.uint8), (1.0, 1.0)) for one in image])
    return net


built = cache(fresh)


@pytest.fixture
def build(request):
    """Builds a model; the same one for all tests that ask for the same, each of which gets its own copy."""
    test = request.function.__name__

    def from_yaml(name, *arguments, **options):
        if test in CANNOT.get(name, {}):
            pytest.skip(CANNOT[name][test])
        return copy.deepcopy(built(name, *arguments, **options))

    return from_yaml


@pytest.fixture
def network(build):
    """The same, for tests of what only networks of tensors can do."""

    def from_yaml(name, *arguments, **options):
        net = build(name, *arguments, **options)
        if isinstance(net, Estimator):
            pytest.skip("fitted by numpy: no gradients, no graph, no precision")
        return net

    return from_yaml


def draw(*size, seed=0):
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def example(name, batch=2, channels=1):
    return draw(batch, channels, *next(iter(sizes(name))))


@every_model
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 4), (5, 2)])
def test_output_has_the_size_of_what_is_predicted(build, name, channels, classes):
    net = build(name, channels, mask=classes).eval()
    for size, predicted in sizes(name).items():
        with torch.inference_mode():
            outputs = net(draw(1, channels, *size))
        assert list(outputs) == ["mask"]
        assert outputs["mask"].shape == (1, classes, *predicted)
        assert outputs["mask"].dtype == torch.float32
        assert outputs["mask"].isfinite().all()


@every_model
def test_several_heads(name, request):
    if isinstance(built(name), Estimator):
        pytest.skip("finds classes and nothing else")
    size, predicted = next(iter(sizes(name).items()))
    outputs = fresh(name, mask=3, contour=1).eval()(draw(2, 1, *size))
    assert {head: logits.shape for head, logits in outputs.items()} == {
        "mask": (2, 3, *predicted),
        "contour": (2, 1, *predicted),
    }


@every_model
def test_trains_on_a_single_image(network, name):
    """Batch norm included, which has no variance where a channel is a single value."""
    net = network(name).train()
    trained = [(key, parameter) for key, parameter in net.named_parameters() if parameter.requires_grad]
    assert trained
    for size in sizes(name):
        net.zero_grad()
        net(draw(1, 1, *size))["mask"].square().mean().backward()
        for key, parameter in trained:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
        for key, buffer in net.named_buffers():
            assert buffer.isfinite().all(), key


@every_model
def test_gradients_reach_every_parameter(network, name):
    """Where no branch starts at zero, as the last norms of residual blocks do.

    Of two values a norm has no gradient, and a bias before a norm has none.
    """
    net = network(name, mask=3).train()
    for parameter in net.parameters():
        if parameter.ndim == 1 and not parameter.any():
            torch.nn.init.uniform_(parameter, 0.1, 0.5)
    net(example(name, batch=4))["mask"].square().mean().backward()
    trained = [(key, one.grad) for key, one in net.named_parameters() if one.requires_grad and "bias" not in key]
    assert trained
    assert [key for key, gradient in trained if not gradient.any()] == []


@every_model
def test_every_output_depends_on_every_input_channel(network, name):
    image = example(name, batch=1, channels=3).requires_grad_()
    logits = network(name, 3, mask=4).eval()(image)["mask"]
    for k in range(4):
        (gradient,) = torch.autograd.grad(logits[:, k].sum(), image, retain_graph=True)
        assert (gradient != 0).any(dim=3).any(dim=2).all()


NORM_LAYERS = {
    "batch": nn.BatchNorm2d,
    "instance": nn.InstanceNorm2d,
    "group": nn.GroupNorm,
    "layer": nn.GroupNorm,
    "none": (),
}
WITH_NORM, WITH_ACT = ([name for name in NAMES if key in configuration(name).model] for key in ("norm", "act"))
FIXED = {
    "maxout": {"residual_unet", "segresnet", "unetplusplus", "dynunet", "nnunet_residual", "vnet", "vnet_release"},
}
"""Activation -> models that cannot have it: of MONAI's, and where the input is added in front of it."""


@pytest.mark.parametrize("norm", NORM_LAYERS)
@pytest.mark.parametrize("name", WITH_NORM)
def test_norms_are_those_asked_for(name, norm):
    net = fresh(name, channels=3, model={"norm": norm}, mask=3)
    kinds = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)
    found = [layer for layer in net.modules() if isinstance(layer, kinds)]
    assert all(isinstance(layer, NORM_LAYERS[norm]) for layer in found)
    assert bool(found) == (norm != "none")
    if norm == "layer":
        assert {layer.num_groups for layer in found} == {1}
    net(example(name, channels=3))["mask"].sum().backward()


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("name", WITH_ACT)
def test_activations_are_those_asked_for(name, act):
    if name in FIXED.get(act, ()):
        with pytest.raises(UserError, match=f"model.act={act} is not one of relu, "):
            fresh(name, model={"act": act})
        return
    net = fresh(name, model={"act": act, "slope": 0.3} if "slope" in configuration(name).model else {"act": act})
    kinds = {type(one.build(1, 0.3)) for one in ACTIVATIONS.values()}
    found = [layer for layer in net.modules() if type(layer) in kinds]
    assert {type(layer) for layer in found} == {type(ACTIVATIONS[act].build(1, 0.3))}
    if act == "leaky_relu":
        assert {layer.negative_slope for layer in found} == {0.3}
    net(example(name))["mask"].sum().backward()


@every_model
def test_bfloat16(network, name):
    net = network(name).train().bfloat16()
    # From two columns to one, oneDNN's bfloat16 convolutions of stride 2 can return NaN.
    size = (64, 64) if name not in SIZES else next(iter(SIZES[name]))
    logits = net(draw(2, 1, *size).bfloat16())["mask"]
    assert logits.dtype == torch.bfloat16
    logits.float().square().mean().backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.requires_grad)


@every_model
def test_channels_last_is_the_same_network(build, name):
    net, image = build(name).eval(), example(name)
    with torch.inference_mode():
        expected = net(image)["mask"]
        logits = net.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))["mask"]
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


@every_model
def test_weights_survive_a_checkpoint(build, name):
    net, other, image = build(name).train(), build(name, seed=1).eval(), example(name)
    net(image)  # moves the running statistics off their first values
    file = io.BytesIO()
    torch.save(net.eval().state_dict(), file)
    file.seek(0)
    with torch.inference_mode():
        # What is fitted may find the same in other images.
        assert isinstance(net, Estimator) or not torch.equal(other(image)["mask"], net(image)["mask"])
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(image)["mask"], net(image)["mask"])


@every_model
def test_same_seed_same_weights(name):
    nets = [built(name).eval(), fresh(name).eval()]
    first, second = (net.state_dict() for net in nets)
    # What an estimator has learnt is packed with the time of packing: what it predicts is compared.
    assert all(torch.equal(first[key], second[key]) for key in first if not key.endswith("_extra_state"))
    if any(key.endswith("_extra_state") for key in first):
        predicted = [net(example(name))["mask"] for net in nets]
        assert torch.equal(*predicted)


@every_model
def test_exports(network, name):
    net, image = network(name).eval(), example(name, batch=1)
    program = torch.export.export(net, (image,))
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(image)["mask"], net(image)["mask"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in MANY_LAYERS else name for name in NAMES]
)
def test_compiles_in_one_graph(network, name):
    """The graph alone, without the compiler behind it, which takes a minute for each network."""
    torch._dynamo.reset()  # it remembers a few networks of a class, not all
    net, image = network(name).train(), example(name)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    compiled(image)["mask"].square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.parameters() if parameter.requires_grad)


@pytest.mark.slow
@every_model
def test_compiled_is_the_same_network(network, name):
    torch._dynamo.reset()
    net, image = network(name).eval(), example(name, batch=1)
    with torch.inference_mode():
        logits = torch.compile(net, fullgraph=True)(image)["mask"]
        torch.testing.assert_close(logits, net(image)["mask"], rtol=1e-3, atol=1e-3)
