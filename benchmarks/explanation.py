"""Seg-Grad-CAM of a 512 x 512 image against forward passes of the same network.

python benchmarks/explanation.py
"""

from __future__ import annotations

import statistics
import time

import torch

from segbench.explanation.heat import grad_cam
from segbench.explanation.layers import deepest_layer, find_layer, response
from segbench.models.unet import UNet


def seconds(function, repeats: int = 7) -> float:
    """The median of some calls, after one that does not count."""
    function()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Print the ratio."""
    torch.manual_seed(0)
    network = UNet(spatial_dims=2, in_channels=1, heads={"mask": 3}, channels=[16, 32, 64, 128]).eval()
    image = torch.rand(1, 1, 512, 512)
    region = torch.zeros(512, 512, dtype=torch.bool)
    region[200:300, 200:300] = True
    layer = find_layer(network, deepest_layer(network, image))

    def forward() -> None:
        with torch.no_grad():
            network(image)

    def explain() -> None:
        found = response(network, layer, image, lambda net, x: net(x)["mask"][0, 1][region].sum())
        grad_cam(found, (512, 512))

    plain, explained = seconds(forward), seconds(explain)
    print(
        f"forward {plain * 1000:.0f} ms, Seg-Grad-CAM {explained * 1000:.0f} ms: {explained / plain:.2f} forward passes"
    )


if __name__ == "__main__":
    main()
