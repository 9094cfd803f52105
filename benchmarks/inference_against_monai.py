"""Times sliding-window inference against MONAI's at the same windows, weights and windows in one pass.

    python benchmarks/inference_against_monai.py [--device cuda]

Both predict the same image with the same U-Net in turn, many times, in this process. Prints the largest
difference of their logits and the ratio of the median times (segbench / MONAI: below 1 is faster) for the
U-Net, and for a network that costs nothing, which leaves the cutting out and blending of windows alone. Exits
with an error where the logits differ by more than 1e-4 or a ratio is above 1.05: on a machine that does other
things as well, the ratio of two equal computations is not repeatable to better.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from monai.inferers import sliding_window_inference
from rich.console import Console
from rich.table import Table
from torch import Tensor

from segbench.inference import SlidingWindow, window_weight
from segbench.models.unet import UNet

CLASSES = 2
OVERLAP = 0.5
BATCH_SIZE = 4
CHANNELS = (16, 32, 64, 128)

Network = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Task:
    """An image to predict: its size and the windows' in pixels."""

    size: tuple[int, ...]
    window: tuple[int, ...]


TASKS = (Task((1024, 1024), (256, 256)), Task((96, 96, 96), (48, 48, 48)))


@dataclass(frozen=True)
class Result:
    """Median seconds of both, and the largest difference of their logits."""

    ours: float
    theirs: float
    difference: float


def copying(windows: Tensor) -> dict[str, Tensor]:
    """A network that costs nothing: every class has the image as its logits."""
    return {"mask": windows.repeat(1, CLASSES, *(1,) * (windows.ndim - 2))}


def compare(task: Task, network: Network, device: str, repeats: int) -> Result:
    """Predicts a random image with both, in turn."""
    image = torch.randn(1, 1, *task.size, generator=torch.Generator().manual_seed(0)).to(device)
    inference = SlidingWindow(task.window, OVERLAP, "gaussian", BATCH_SIZE)
    weight = window_weight(task.window, "gaussian").to(device)

    def by_segbench() -> Tensor:
        return inference(network, image)["mask"]

    def by_monai() -> Tensor:
        # Its own Gaussian has another value in the far corners.
        predicted = sliding_window_inference(
            image, task.window, BATCH_SIZE, network, overlap=OVERLAP, mode="gaussian", roi_weight_map=weight
        )
        return predicted["mask"]  # type: ignore[no-any-return]

    with torch.inference_mode():
        difference = float((by_segbench() - by_monai()).abs().max())
        seconds: tuple[list[float], list[float]] = ([], [])
        pairs = list(zip((by_segbench, by_monai), seconds, strict=True))
        for number in range(repeats):
            # Each goes first in every other round.
            for call, record in pairs if number % 2 else reversed(pairs):
                record.append(timed(call, device))
    return Result(statistics.median(seconds[0]), statistics.median(seconds[1]), difference)


def timed(call: Callable[[], Tensor], device: str) -> float:
    """Seconds of one call, to the end of its work on the device."""
    start = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Measures, prints, and fails where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()

    table = Table("image", "window", "network", "segbench", "MONAI", "ratio", "difference")
    broken = False
    for task in TASKS:
        torch.manual_seed(0)
        unet = UNet(len(task.size), 1, {"mask": CLASSES}, channels=CHANNELS).to(options.device).eval()
        networks: dict[str, tuple[Network, int]] = {
            "U-Net": (unet, options.repeats),
            "none": (copying, 10 * options.repeats),
        }
        for name, (network, repeats) in networks.items():
            result = compare(task, network, options.device, repeats)
            ratio = result.ours / result.theirs
            broken |= ratio > 1.05 or result.difference > 1e-4
            size, window = (" x ".join(map(str, lengths)) for lengths in (task.size, task.window))
            times = (f"{seconds * 1e3:.1f} ms" for seconds in (result.ours, result.theirs))
            table.add_row(size, window, name, *times, f"{ratio:.3f}", f"{result.difference:.1e}")
    Console(width=120).print(table)
    place = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"overlap {OVERLAP}, Gaussian weights, {BATCH_SIZE} windows in one pass; {place}")
    if broken:
        sys.exit("the logits differ by more than 1e-4, or segbench is slower than MONAI by more than 5 %")


if __name__ == "__main__":
    main()
