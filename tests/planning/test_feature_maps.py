"""The count of feature maps against the outputs of real convolutions."""

import pytest
import torch
from torch import nn

from segbench.planning.feature_maps import Layout, plain
from segbench.planning.topology import by_spacing
from tests.made_runs import configure


@pytest.mark.parametrize("size", [(32, 32), (64, 32)])
def test_plain_counts_the_outputs_of_all_convolutions(size):
    """Of our own U-Net of the same stages, on the meta device, as hooks see them."""
    from segbench.config.instantiation import build

    config = configure("model=nnunet_2d", "model.channels=[4,8,16,32]", "model.deep_supervision=false")
    config.measured = {"spatial_dims": 2, "in_channels": 1, "classes": 3}
    config.task.heads = {"mask": 3}
    with torch.device("meta"):
        net = build(config.model, "model")
    seen = []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(lambda layer, inputs, output: seen.append(output.numel()))
    with torch.no_grad():
        net(torch.zeros(1, 1, *size, device="meta"))
    topology = by_spacing((1.0, 1.0), (32, 32))
    topology = type(topology)(topology.strides, topology.kernels, size)
    assert plain(Layout(topology, (4, 8, 16, 32), (2,) * 4, (2,) * 3), 1, 3) == sum(seen)
