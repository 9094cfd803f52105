"""What a run of a sweep costs besides its training and evaluation: N one-step runs in one process.

python benchmarks/sweep_overhead.py [runs] [key=value ..]

Without further keys on cells drawn by code; `data=wbc` for real images. The start of a run is the time from the end of
the run before to its first training step: composing the configuration, opening the data, building the network and the
loggers, starting the workers.
"""

import itertools
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import segbench.__main__ as command


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def main() -> None:
    arguments = sys.argv[1:]
    runs = int(arguments.pop(0)) if arguments and "=" not in arguments[0] else 8
    ends, starts, memory, files = [time.perf_counter()], [], [], []
    train = command.COMMANDS["train"]

    def timed(config):
        from segbench.module import SegmentationModule

        def training_step(self, *values):
            if len(starts) < len(ends):
                starts.append(time.perf_counter())
            return step(self, *values)

        step, SegmentationModule.training_step = SegmentationModule.training_step, training_step
        try:
            train(config)
        finally:
            SegmentationModule.training_step = step
        ends.append(time.perf_counter())
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        files.append(open_files())

    command.COMMANDS["train"] = timed
    with tempfile.TemporaryDirectory() as folder:
        sweep = [f"seed=range(0,{runs})", f"hydra.sweep.dir={folder}", "trainer.max_steps=1", "trainer.progress=false"]
        command._run("train", [*sweep, *arguments, "-m"])
    first, *others = (start - end for start, end in zip(starts, ends, strict=False))
    whole = [end - start for start, end in itertools.pairwise(ends[1:])]
    print(f"start of the first run {first:.2f} s, of each further one {statistics.median(others):.2f} s", end="")
    print(f" (largest {max(others):.2f} s); a whole one-step run {statistics.median(whole):.2f} s")
    print(f"memory after the second and the last run {memory[1]:.0f} and {memory[-1]:.0f} MiB;", end=" ")
    print(f"open files {files[1]} and {files[-1]}")


if __name__ == "__main__":
    main()
