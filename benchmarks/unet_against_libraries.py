"""Times forward and backward passes of the U-Net against MONAI's BasicUNet and smp's Unet with the same weights.

    python benchmarks/unet_against_libraries.py [--rounds 15] [--size 128] [--device cuda]

Both sides of each row are the same network: equal widths, norms, activations, parameters, and loss of the first
batch. They are called in turn in this process, each first in every other round. Prints the seconds per sample of
both and the ratio of their medians (segbench / library: below 1 is faster); beside it the smaller of two ratios that
work by others on the machine disturbs less: the median of neighbours, and that of the least times. Exits with an error
where it is above 1.02.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import segmentation_models_pytorch as smp
import torch
from monai.networks.nets import BasicUNet
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from segbench.models.smp import SmpModel
from segbench.models.unet import UNet

WIDTHS = (64, 64, 128, 256, 512)
"""MONAI halves all but the last channels from below, hence two equal widths at the top."""
LIMIT = 1.02


@dataclass(frozen=True)
class Mode:
    """How numbers are kept in memory, and in which precision they are computed."""

    name: str
    format: torch.memory_format
    autocast: bool


MODES = (
    Mode("float32", torch.contiguous_format, False),
    Mode("float32, channels last", torch.channels_last, False),
    Mode("bf16 mixed, channels last", torch.channels_last, True),
)


def pairs() -> Iterator[tuple[str, nn.Module, nn.Module]]:
    """Name, our network and the library's, with the same weights in the same order."""
    theirs = BasicUNet(2, 3, 2, (*WIDTHS, WIDTHS[0]), act=("relu", {"inplace": True}), norm="batch", bias=False)
    ours: nn.Module = UNet(2, 3, {"mask": 2}, channels=WIDTHS)
    yield "MONAI BasicUNet", ours, theirs
    ours = SmpModel(2, 3, {"mask": 2}, net=smp.Unet, encoder="resnet34")
    yield "smp Unet resnet34", ours, smp.Unet("resnet34", encoder_weights=None, classes=2)


def same_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Copies the library's weights into ours."""
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.shape == other.shape
        mine.data.copy_(other.data)


def step(net: nn.Module, image: Tensor, mode: Mode) -> float:
    """One forward and one backward pass; the loss."""
    with torch.autocast(image.device.type, torch.bfloat16, enabled=mode.autocast):
        output = net(image)
    logits = output["mask"] if isinstance(output, dict) else output
    loss = logits.float().square().mean()
    net.zero_grad()
    loss.backward()
    return float(loss.detach())


def timed(call: Callable[[], float]) -> float:
    """Seconds of one call; reading the loss waits for all of the pass but the last gradients on a GPU."""
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(ours: nn.Module, theirs: nn.Module, image: Tensor, mode: Mode, rounds: int) -> tuple[float, float, float]:
    """Median seconds of both, and the smaller of two ratios: median of neighbours, least of all.

    What else the machine does lengthens either; a slower network lengthens both.
    """
    image = image.contiguous(memory_format=mode.format)
    for net in (ours, theirs):
        net.to(image.device, memory_format=mode.format).train()
    first, second = step(ours, image, mode), step(theirs, image, mode)
    assert abs(first - second) <= 1e-2 * abs(second), f"different networks: losses {first} and {second}"
    seconds: tuple[list[float], list[float]] = ([], [])
    calls = [
        (lambda net=net: step(net, image, mode), record) for net, record in zip((ours, theirs), seconds, strict=True)
    ]
    for number in range(rounds):
        for call, record in calls if number % 2 else reversed(calls):
            record.append(timed(call))
    neighbours = [mine / other for mine, other in zip(*seconds, strict=True)]
    return (
        statistics.median(seconds[0]),
        statistics.median(seconds[1]),
        min(statistics.median(neighbours), min(seconds[0]) / min(seconds[1])),
    )


def main() -> None:
    """Measures, prints, and fails where the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()

    torch.manual_seed(0)
    image = torch.randn(options.batch, 3, options.size, options.size, device=options.device)
    table = Table("against", "mode", "segbench", "library", "ratio", "undisturbed")
    broken = False
    for name, ours, theirs in pairs():
        same_weights(ours, theirs)
        for mode in MODES:
            mine, other, ratio = compare(ours, theirs, image, mode, options.rounds)
            broken |= ratio > LIMIT
            times = (f"{seconds / options.batch * 1e3:.1f} ms" for seconds in (mine, other))
            table.add_row(name, mode.name, *times, f"{mine / other:.3f}", f"{ratio:.3f}")
    Console(width=120).print(table)
    place = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"forward and backward, per sample of {options.size} x {options.size}, {options.rounds} rounds; {place}")
    if broken:
        sys.exit(f"segbench is slower than a library by more than {LIMIT - 1:.0%}")


if __name__ == "__main__":
    main()
