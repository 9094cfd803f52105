"""The estimated memory of a training step beside what the process really took, on the CPU.

    python benchmarks/training_memory.py

The estimate of `segbench describe` is a dry run on sizes alone. Measured is the peak of resident memory of this
process (Linux), less what it had before the network was built; one process for each row.
"""

import subprocess
import sys

import torch

from segbench.config.instantiation import build
from segbench.description.memory import stand_in
from segbench.description.network import CPU, Network
from segbench.metrics.cost import peak_memory, reset_peak_memory
from tests.made_runs import configure

CASES = (
    ("model=unet", 128, 4),
    ("model=unet", 256, 2),
    ("model=unet model.norm=instance model.act=leaky_relu", 128, 4),
    ("model=nnunet_2d", 256, 4),
    ("model=unet_small dims=3", 64, 2),
    ("model=segnet", 128, 4),
)


def measure(overrides, pixels, batch):
    """Estimated and measured bytes of two training steps."""
    dims = 3 if "dims=3" in overrides else 2
    network = Network(configure(*overrides.split(), f"patch={[pixels] * dims}", f"batch={batch}", command="describe"))
    estimate = network.memory(network.input.patch, batch).peak
    step(torch.nn.Conv2d(1, 1, 1), torch.optim.SGD, (1, 1, 8, 8))  # libraries take what they need
    torch.nn.functional.conv2d(torch.zeros(1, 16, 64, 64), torch.zeros(16, 16, 3, 3))
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    optimizer = build(network.config.optimizer, "optimizer")
    step(network.instantiate(CPU), optimizer, (batch, 1, *network.input.patch))
    return estimate, peak_memory(CPU) - before


def step(module, optimizer, shape):
    """Two training steps."""
    steps = optimizer(module.parameters())
    for _ in range(2):
        loss = stand_in(module(torch.zeros(*shape)))
        loss.backward()
        del loss
        steps.step()
        steps.zero_grad()


if __name__ == "__main__":
    if len(sys.argv) == 4:
        estimated, measured = measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
        print(f"{estimated / 1e6:9.0f} MB {measured / 1e6:9.0f} MB {estimated / measured:7.2f}   ", end="")
        print(f"{sys.argv[1]}, patch {sys.argv[2]}, batch {sys.argv[3]}", flush=True)
    else:
        print("estimated     measured    ratio", flush=True)
        for case in CASES:
            subprocess.run([sys.executable, __file__, *map(str, case)], check=True)
