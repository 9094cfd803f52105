"""The contract of all models for volumes: those that are made for three dimensions take them."""

import io

import pytest
import torch

from segbench.models.estimator import Estimator
from tests.models.test_models import draw, fresh

VOLUMES = (
    "attention_unet", "dynunet", "kmeans", "mednext", "nnunet", "nnunet_2d", "nnunet_3d", "nnunet_residual", "otsu",
    "residual_unet", "segnet", "segresnet", "swin_unetr", "unet", "unet3d_cicek", "unet3d_zeng", "unet_original",
    "unetplusplus", "unetr", "vnet", "vnet_release", "voxresnet", "watershed",
)  # fmt: skip
SMALL = {"unetplusplus": {"channels": [4] * 5}, "unetr": {"net": {"size": [16, 16, 32]}}}
"""Arguments beside those of the contract in 2D."""
ANY = {(8, 12, 10): (8, 12, 10), (5, 9, 3): (5, 9, 3)}
VALID = {(44, 44, 48): (4, 4, 8)}
SIZES = {"unet_original": VALID, "unet3d_cicek": VALID, "unetr": {(16, 16, 32): (16, 16, 32)}}
"""Sizes of volumes and of the logits for them; the first is that of most tests."""


def volume(name, channels=1, **heads):
    if name in ("kmeans", "otsu", "watershed"):
        pytest.skip("fitted to cases: tests of their own")
    return fresh(name, channels, dims=3, model=SMALL.get(name), **heads)


def sizes(name):
    return SIZES.get(name, ANY)


@pytest.mark.parametrize("name", VOLUMES)
def test_output_has_the_size_of_what_is_predicted(name):
    net = volume(name, 2, mask=3, contour=1).eval()
    for size, predicted in sizes(name).items():
        with torch.inference_mode():
            outputs = net(draw(1, 2, *size))
        assert {head: logits.shape for head, logits in outputs.items()} == {
            "mask": (1, 3, *predicted), "contour": (1, 1, *predicted),
        }  # fmt: skip
        assert all(logits.isfinite().all() for logits in outputs.values())


@pytest.mark.parametrize("name", VOLUMES)
def test_gradients_reach_every_parameter(name):
    net = volume(name, mask=3).train()
    assert not isinstance(net, Estimator)
    for parameter in net.parameters():
        if parameter.ndim == 1 and not parameter.any():
            torch.nn.init.uniform_(parameter, 0.1, 0.5)
    net(draw(2, 1, *next(iter(sizes(name)))))["mask"].square().mean().backward()
    trained = [(key, one.grad) for key, one in net.named_parameters() if one.requires_grad and "bias" not in key]
    assert [key for key, gradient in trained if gradient is None or not gradient.any()] == []
    assert all(gradient.isfinite().all() for _, gradient in trained)


@pytest.mark.parametrize("name", VOLUMES)
def test_weights_survive_a_checkpoint(name):
    net, image = volume(name), draw(2, 1, *next(iter(sizes(name))))
    other = fresh(name, dims=3, seed=1, model=SMALL.get(name)).eval()
    net.train()(image)
    file = io.BytesIO()
    torch.save(net.eval().state_dict(), file)
    file.seek(0)
    with torch.inference_mode():
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(image)["mask"], net(image)["mask"])
