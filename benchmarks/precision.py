"""`trainer.precision=auto` and channels-last against float32 and contiguous memory: speed, and what it costs.

python benchmarks/precision.py            training steps of the U-Net of 31 million parameters
python benchmarks/precision.py dice 500   also trains wbc both ways, 500 steps each, and compares the test Dice
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.config.instantiation import build
from segbench.runs.directory import read_cases
from segbench.system.precision import choose_precision
from tests.made_runs import configure, execute

STEPS = 6
TRAINING = ("experiment=wbc", "logger=none", "metrics=overlap", "trainer.progress=false")


def step(model, optimizer, image, target, precision: str) -> float:
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        logits = model(image)["mask"]
    optimizer.zero_grad()
    cross_entropy(logits.float(), target).backward()
    optimizer.step()
    return time.perf_counter() - start


def speed() -> None:
    config = configure("model=unet")
    config.measured = {"spatial_dims": 2, "in_channels": 1, "classes": 4, "class_frequencies": None}
    image, target = torch.randn(4, 1, 256, 256), torch.randint(0, 4, (4, 256, 256))
    auto = choose_precision("auto", "cpu")
    sides = {}
    for name, precision, memory in (
        ("auto", auto, torch.channels_last),
        ("float32", "32-true", torch.contiguous_format),
    ):
        model = build(config.model, "model").to(memory_format=memory).train()
        optimizer = torch.optim.Adam(model.parameters())
        sides[name] = (model, optimizer, image.contiguous(memory_format=memory), target, precision)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(STEPS + 1):  # in turn, so that a noisy machine hits both
        for name, side in sides.items():
            times[name].append(step(*side))
    medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}
    print(f"{auto} and channels-last {medians['auto']:.3f} s, float32 and contiguous {medians['float32']:.3f} s a step")
    print(f"ratio {medians['float32'] / medians['auto']:.2f}")


def dice(steps: int) -> None:
    scores = {}
    for name, settings in (("auto", ()), ("float32", ("trainer.precision=32-true", "trainer.channels_last=false"))):
        with tempfile.TemporaryDirectory() as folder:
            directory = execute(Path(folder) / "run", *TRAINING, f"trainer.max_steps={steps}", *settings, tiny=False)
            cases = read_cases(directory.cases)
            scores[name] = cases[cases["metric"] == "dice"].groupby("class")["value"].mean()
            print(name, scores[name].round(4).to_dict(), f"trained {directory.record['cost']['train_seconds']:.0f} s")
    print(f"difference of the mean Dice {scores['auto'].mean() - scores['float32'].mean():+.4f}")


if __name__ == "__main__":
    speed()
    if "dice" in sys.argv:
        dice(int(sys.argv[2]))
