"""Fetching weights ahead, from a hub on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants as hub
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from rich.console import Console
from safetensors.torch import save

from segbench.config.instantiation import build
from segbench.errors import UserError
from segbench.training.pretrained import fetch_weights
from tests.made_runs import configure
from tests.models import fake_vgg

ENCODER = "mobilenet_v2"


class Hub(BaseHTTPRequestHandler):
    """Serves the two files of any encoder's repository."""

    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.files.get(self.path.rpartition("/")[2])
        self.send_response(404 if body is None else 200)
        self.send_header("ETag", f'"{len(body or b"")}"')
        self.send_header("X-Repo-Commit", self.path.split("/")[-2])  # the library asks by commit
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET" and body:
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, torch.Tensor]]:
    """The weights that the hub of this test has; the library's own hub is not asked."""
    torch.manual_seed(1)
    weights = smp.encoders.get_encoder(ENCODER).state_dict()
    Hub.files = {"config.json": b"{}", "model.safetensors": save(weights)}
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(hub, "ENDPOINT", address)
    monkeypatch.setattr(hub, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    yield weights
    server.shutdown()
    server.server_close()


def prepared(*overrides: str) -> str:
    console = Console(record=True, width=400)
    fetch_weights(configure(*overrides, command="prepare"), console)
    return console.export_text()


def test_weights_are_there_without_a_network_afterwards(
    served: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("model=smp_unet", f"model.encoder={ENCODER}", "model.weights=imagenet")
    first = prepared(*asked)
    assert f"imagenet weights of {ENCODER}: {len(Hub.files['model.safetensors']) / 1e6:.1f} MB downloaded" in first
    assert f"in {tmp_path / 'hub'}, {len(Hub.files['model.safetensors']) / 1e6:.1f} MB in all" in first
    assert any(path.endswith("/model.safetensors") and ENCODER in path for path in Hub.asked)
    assert "were there already" in prepared(*asked)

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    Hub.asked.clear()
    config = configure(*asked)
    config.measured = {"spatial_dims": 2, "in_channels": 3, "classes": 4, "class_frequencies": [0.25] * 4}
    loaded = build(config.model, "model").net.encoder.state_dict()
    assert not Hub.asked
    assert all(torch.equal(loaded[key], value) for key, value in served.items())


def test_several_encoders(served: dict[str, torch.Tensor]) -> None:
    printed = prepared("model=smp_fpn", f"model.encoder=[{ENCODER},{ENCODER}]", "model.weights=imagenet")
    assert [" downloaded" in line for line in printed.splitlines()[:2]] == [True, False]


@pytest.mark.parametrize("name", ["fcn8s", "segnet", "deconvnet"])
def test_networks_of_vgg16(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The library that has VGG16's weights is asked for them, for a network of the run's own width and norm."""
    asked = []
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))

    def download(name: str, *, pretrained: bool, in_chans: int) -> fake_vgg.Narrow:
        asked.append(name)
        (tmp_path / name).write_bytes(b"0" * 1_500_000)
        return fake_vgg.create_model(name, pretrained=pretrained, in_chans=in_chans)

    monkeypatch.setattr(timm, "create_model", download)
    width = f"model.width={fake_vgg.WIDTH}"
    printed = prepared(f"model={name}", width, "model.weights=imagenet", "model.norm=batch")
    assert asked == ["vgg16_bn"]
    assert "imagenet weights of the model: 1.5 MB downloaded" in printed
    assert "were there already" in prepared(f"model={name}", width, "model.weights=imagenet", "model.norm=batch")


def test_weights_that_cannot_be_had(served: dict[str, torch.Tensor]) -> None:
    Hub.files = {}
    with pytest.raises(UserError, match=rf"model\.weights=imagenet: the weights of {ENCODER} could not be downloaded"):
        prepared("model=smp_unet", f"model.encoder={ENCODER}", "model.weights=imagenet")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model=smp_unet",), r"model\.weights is not set.*give model\.weights=imagenet"),
        (("model=unet_original",), "starts from no trained weights"),
        (("model=smp_unet", "model.weights=imagenet", "model.encoder=[resnet43]"), "did you mean resnet34"),
    ],
)
def test_nothing_to_download(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepared(*overrides)
