"""Several small runs at a time against one after the other: the wall time of whole sweeps, everything included.

python benchmarks/packing.py [--device cpu|cuda] [--runs 8] [--steps 40] [key=value ..]

Each line is the same sweep (a seed per run) of the small U-Net on cells drawn by code, from the command to its
comparison. On the CPU every core is used each time: by the threads of one run, or by a run per core. On a GPU 1, 2 and
4 runs share it. Run it on a machine that does nothing else.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def arrangements(device: str) -> list[tuple[str, list[str]]]:
    """What is compared: a name, and the values of the launcher."""
    if device == "cuda":
        shared = [f"trainer=gpu hydra.launcher.gpus=[0] hydra.launcher.runs_per_gpu={count}" for count in (1, 2, 4)]
        names = ["1 run on the GPU", "2 runs on the GPU", "4 runs on the GPU"]
        return [(name, values.split()) for name, values in zip(names, shared, strict=True)]
    cores = len(os.sched_getaffinity(0))
    pairs = [(count, cores // count) for count in (1, 2, 4, 8, 16, 32) if cores % count == 0]
    return [
        (f"{count} x {threads} threads", ["trainer=cpu", f"hydra.launcher.at_once={count}",
                                          f"hydra.launcher.threads={threads}"])
        for count, threads in pairs
    ]  # fmt: skip


def sweep(values: list[str], folder: Path) -> float:
    """Seconds for one sweep, its images decoded anew."""
    command = [sys.executable, "-m", "segbench", *values, f"hydra.sweep.dir={folder}", "hydra/launcher=local", "-m"]
    environment = os.environ | {"SEGBENCH_CACHE": str(folder / "cache"), "WANDB_MODE": "offline"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=None, help="of each run; default 40, with cuda 300")
    options, values = parser.parse_known_args()
    steps = options.steps or (300 if options.device == "cuda" else 40)
    common = [f"seed=range(0,{options.runs})", f"trainer.max_steps={steps}", "logger=csv", *values]
    first = None
    print(f"{options.runs} runs of {steps} steps", flush=True)
    for name, launcher in arrangements(options.device):
        with tempfile.TemporaryDirectory() as folder:
            seconds = sweep([*common, *launcher], Path(folder))
        first = first or seconds
        rate = options.runs / seconds * 3600
        print(f"{name:20} {seconds:7.1f} s  {rate:6.0f} runs/h  {first / seconds:5.2f} times the first", flush=True)


if __name__ == "__main__":
    main()
