"""What `describe` says of a network, against published counts, theory, and what training really takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torch.profiler import ProfilerActivity, profile

from segbench.commands.describe import describe
from segbench.config.instantiation import build
from segbench.config.paths import conf_folder
from segbench.description.memory import stand_in
from segbench.description.network import CPU, META, Network
from segbench.errors import UserError
from tests.made_runs import configure

DOCS = Path(__file__).parents[2] / "docs"
NAMES = sorted(path.stem for path in (conf_folder() / "model").glob("*.yaml"))
NETWORK = f"+model.net._target_={__name__}"
SMALL = "model.channels=[4,8,16]"
WIDER = "model.channels=[16,32,64]"  # oneDNN fills fewer channels up


class Strided(nn.Module):
    """A network of a user that takes multiples of 8 from 16 on, and cannot be built on the meta device."""

    def __init__(self, least=16):
        super().__init__()
        self.rates = [one.item() for one in torch.linspace(0, 1, 3)]
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.least = least

    def forward(self, image):
        if any(size % 8 or size < self.least for size in image.shape[2:]):
            raise ValueError("wrong size")
        return self.conv(image)


def network(*overrides):
    return Network(configure(*overrides, command="describe"))


def described(tmp_path, *overrides):
    """What the command writes."""
    describe(configure(*overrides, f"output={tmp_path}/out.json", command="describe"))
    return json.loads((tmp_path / "out.json").read_text())


def test_published_counts():
    """Every count of a network that was published, or counted in its authors' code."""
    rows = yaml.safe_load((DOCS / "published_counts.yaml").read_text())
    assert len(rows) > 30
    counts = {row["overrides"]: network(*row["overrides"].split()).parameters for row in rows}
    assert counts == {row["overrides"]: row["published"] for row in rows}


def test_command(tmp_path):
    """As a user types it: a file, a table, no run directory, no data."""
    call = [sys.executable, "-m", "segbench", "describe", "model=unet", "model.norm=none", "output=out.json"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    for text in ("31,030,658", "encoder.4", "188 x 188", "arXiv 1505.04597", "mask (2)", "without data"):
        assert text in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["parameters"] == 31_030_658


def test_file(tmp_path, capsys):
    found = described(tmp_path, "model=unet", SMALL, "channels=3", "classes=4", "patch=[40,48]", "batch=2")
    assert found["source"] == "Ronneberger, Fischer and Brox, MICCAI 2015, arXiv 1505.04597"
    assert found["input"] == {"channels": 3, "classes": 4, "patch": [40, 48], "batch": 2}
    assert (found["heads"], found["predicted"]) == ({"mask": 4}, [40, 48])
    assert [stage["name"] for stage in found["stages"]] == [
        "encoder.0", "encoder.1", "encoder.2", "decoder.0", "decoder.1", "heads",
    ]  # fmt: skip
    assert sum(stage["parameters"] for stage in found["stages"]) == found["parameters"] == found["trainable"]
    assert [stage["output"] for stage in found["stages"]][1:4] == [[8, 20, 24], [16, 10, 12], [8, 20, 24]]
    assert found["frozen"] == 0
    assert found["buffers"] == 2 * 2 * (4 + 8 + 16 + 8 + 4) + 10  # means, variances, and a count for each norm
    assert found["sizes"]["text"] == "any"
    assert found["receptive_field"] == {"pixels": [44, 44], "bounded": True}
    memory = found["memory"]["estimated"]
    assert [(one["patch"], one["batch"]) for one in memory][:2] == [([40, 48], 2), ([40, 48], 1)]
    assert memory[0]["weights"] == 4 * found["parameters"] + 4 * (found["buffers"] - 10) + 8 * 10
    assert memory[0]["optimizer"] == pytest.approx(2 * memory[0]["gradients"], rel=0.02)  # Adam's two moments
    assert found["memory"]["measured"] is None or torch.cuda.is_available()


def test_operations_are_those_of_the_convolutions():
    found = network("model=external", f"{NETWORK}.Strided", "patch=[32,64]")
    assert found.flops == 2 * 9 * 2 * 32 * 64


HEADS = {
    "attentionboost": dict.fromkeys(("mask", *(f"stage_{n}" for n in range(1, 5))), 2),
    "dcan": dict.fromkeys((f"{head}{n}" for head in ("mask", "contour") for n in ("", "_1", "_2", "_3")), 2),
    "deepdistance": {"inner_distance": 1, "outer_distance": 1},
    "deepdistance_extended": {"mask": 2, "inner_distance": 1, "outer_distance": 1},
    "fouriernet": {"mask": 2, "amplitudes": 1},
    "nguyen_yae": {"mask": 2, "restored": 3, "finding": 2},
    "segnetmri": {"mask": 2, "restored": 3, **dict.fromkeys((f"mask_{n}" for n in range(1, 6)), 2)},
}
"""Model that brings along its task -> channels of its heads, of three channels and two classes."""


@pytest.mark.parametrize("name", NAMES)
def test_every_model(name):
    if name == "external":
        pytest.skip("has no network of its own")
    found = network(f"model={name}", "channels=3")
    assert found.source
    assert found.heads == HEADS.get(name, {"mask": 2})
    assert found.device == (CPU if found.fitted else META)
    assert sum(stage.parameters for stage in found.stages) == found.parameters
    assert (found.parameters == 0) == found.fitted


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ("model=unet", "any"),
        ("model=unet_original", "16 k + 12 from 188"),
        ("model=sliding_window_cnn", "from 95"),
        (f"model=external {NETWORK}.Strided", "multiples of 8 from 16"),
        (f"model=external {NETWORK}.Strided +model.net.least=8", "multiples of 8"),
    ],
)
def test_sizes(overrides, expected):
    assert str(network(*overrides.split()).sizes) == expected


@pytest.mark.parametrize(
    ("overrides", "pixels"),
    [
        ("model=unet", (188, 188)),
        (f"model=unet {SMALL} dims=3 patch=[16,16,16]", (44, 44, 44)),
        (f"model=unet {SMALL} model.norm=instance", (44, 44)),  # the norm, which sees all, is left aside
        ("model=sliding_window_cnn", (95, 95)),
        ("model=lenet patch=[16,16]", (16, 16)),
        (f"model=external {NETWORK}.Strided", (3, 3)),
    ],
)
def test_receptive_field(overrides, pixels):
    field = network(*overrides.split()).receptive_field
    assert field.bounded
    assert field.pixels == pixels


def test_receptive_field_of_the_whole_image():
    field = network("model=smp_deeplabv3plus", "model.encoder=tu-resnet10t").receptive_field
    assert not field.bounded
    assert str(field).startswith("at least ")


def allocated(module, optimizer, shape):
    """The most bytes that PyTorch's allocator has given out in the second of two training steps."""
    steps = optimizer(module.parameters())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        for _ in range(2):
            loss = stand_in(module(torch.zeros(*shape)))
            loss.backward()
            del loss
            steps.step()
            steps.zero_grad()
    events = [one for one in profiler.profiler.kineto_results.events() if one.name() == "[memory]"]
    events.sort(key=lambda one: one.start_ns())
    now = peak = 0
    for event in events:
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@pytest.mark.parametrize(
    "overrides",
    [
        f"model=unet {WIDER} patch=[128,128] batch=4",
        f"model=unet {WIDER} model.deep_supervision=true patch=[64,64] batch=2 optimizer=sgd_momentum",
        f"model=unet {WIDER} dims=3 patch=[32,32,32] batch=2 model.norm=instance model.act=leaky_relu",
        "model=segnet model.width=0.25 patch=[64,64] batch=4",
        "model=mlp patch=[32,32]",
    ],
)
def test_memory_is_what_pytorch_allocates(overrides):
    """Independent of the dry run: the records of the allocator, while real numbers are computed."""
    found = network(*overrides.split())
    shape = (found.input.batch, 1, *found.input.patch)
    estimate = found.memory(found.input.patch, found.input.batch)
    measured = allocated(found.instantiate(CPU), build(found.config.optimizer, "optimizer"), shape)
    assert estimate.peak - estimate.weights == pytest.approx(measured, rel=0.05)


@pytest.mark.gpu
def test_memory_measured_on_the_device():
    found = network("model=unet", "patch=[256,256]", "batch=4", "trainer.precision=32-true")
    peak, precision = found.measured_memory(torch.device("cuda"))
    assert precision == "32-true"
    assert peak == pytest.approx(found.memory((256, 256), 4).peak, rel=0.3)


def test_what_is_fitted(tmp_path):
    found = described(tmp_path, "model=otsu", "channels=3")
    assert (found["parameters"], found["stages"], found["flops"], found["receptive_field"]) == (0, [], None, None)
    assert found["memory"]["estimated"] == []
    assert found["sizes"]["text"] == "any"


def test_weights_are_never_downloaded(monkeypatch):
    monkeypatch.setattr("socket.socket.connect", None)
    monkeypatch.setattr("socket.create_connection", None)
    monkeypatch.setenv("HF_HOME", "/nowhere")
    assert network("model=smp_unet", "model.weights=imagenet", "model.encoder=resnet18").parameters > 14e6


def test_a_patch_that_is_given_must_fit_and_another_is_found():
    assert network("model=unet_original").input.patch == (188, 188)
    with pytest.raises(UserError, match="188"):
        network("model=unet_original", "patch=[128,128]")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("dims=3 patch=[32,32]", "patch=.32, 32. has 2 sizes, but dims=3"),
        ("patch=[32]", "dims=1: must be 2 or 3"),
        ("channels=0", "channels=0: must be at least 1"),
        ("batch=0", "batch=0: must be at least 1"),
        ("model=fcn32s dims=3", "FCN is 2D only"),
        ("model.norm=btach", "did you mean batch"),
        ("task=border_weighted loss=dice", "takes no weights of pixels"),
    ],
)
def test_errors(overrides, message):
    with pytest.raises(UserError, match=message):
        network(*overrides.split())


def test_table_of_models_is_up_to_date():
    table = (DOCS / "models.md").read_text()
    listed = [line.split("|")[1].strip(" `") for line in table.splitlines() if line.startswith("| `")]
    assert [name for name in listed if name in NAMES][: len(NAMES)] == NAMES


def test_a_task_of_regions_has_those_of_the_configuration():
    regions = "data.regions={a: [1], b: [1, 2]}"
    described_network = network("data=wbc", "model=unet_small", "task=regions", regions, "patch=[32,32]")
    assert described_network.heads == {"regions": 2}
