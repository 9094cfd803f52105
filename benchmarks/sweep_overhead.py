"""What a run of a sweep costs besides its training and evaluation, and what it leaves behind in the process.

python benchmarks/sweep_overhead.py [runs] [key=value ..]

N one-step runs in one process, with each of the loggers csv and wandb. Without further keys on cells drawn by code;
`data=wbc` for real images. The overhead is the whole time from the end of one run to the end of the next, less that of
optimizer steps and of reading, predicting and scoring whole cases; it is told by phase, as medians over the runs from
the third on. CPU time is that of this process: workers and the service of W&B have their own. What is left behind is
the memory that the process has after a run (not the most it ever had) and the files that are open, from the tenth run
to the last.
"""

import functools
import importlib
import inspect
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import segbench.commands.execution as command

SETTLED = 10
"""Runs after which all that is made once is made."""

EXCLUDED = ("training", "evaluation")
PHASES = {
    "training": ["segbench.training.module:SegmentationModule.optimizer_step"],
    "evaluation": [
        "segbench.training.module:SegmentationModule.validation_step",
        "segbench.training.module:SegmentationModule.on_validation_epoch_end",
        "segbench.training.module:SegmentationModule.test_step",
        "segbench.data.datamodule:WholeCases.__getitem__",
    ],
    "composing": ["hydra._internal.config_loader_impl:ConfigLoaderImpl.load_sweep_config"],
    "checks": [
        "segbench.commands.train:check_experiment",
        "segbench.config.schema:check",
        "segbench.config.schema:check_targets",
        "segbench.config.identity:run_id",
        "segbench.commands.train:run_id",
        "segbench.training.run:run_id",
    ],
    "data": ["segbench.training.assembly:build_data"],
    "network": ["segbench.training.assembly:build_module"],
    "trainer": ["segbench.training.run:make_trainer"],
    "workers": [
        "torch.utils.data:DataLoader.__iter__",
        "torch.utils.data.dataloader:_MultiProcessingDataLoaderIter.__next__",
        "torch.utils.data.dataloader:_MultiProcessingDataLoaderIter._shutdown_workers",
    ],
    "Lightning": ["lightning:Trainer.fit", "lightning:Trainer.test"],
    "checkpoints": [
        "segbench.training.checkpoints:Checkpoints._save",
        "segbench.training.checkpoints:Checkpoints._commit",
        "torch:load",
    ],
    "W&B": [
        "wandb:init",
        "segbench.loggers.wandb:Wandb.__init__",
        "segbench.loggers.wandb:Wandb.log_metrics",
        "segbench.loggers.wandb:Wandb.record_result",
        "segbench.loggers.wandb:Wandb.close",
    ],
    "previews": ["segbench.training.run:write_previews"],
    "curves": ["segbench.training.run:write_curves"],
    "cost": ["segbench.training.run:measure_cost"],
    "records": [
        "segbench.runs.directory:RunDirectory.start",
        "segbench.runs.directory:RunDirectory.update",
        "segbench.runs.directory:RunDirectory.write_split",
        "segbench.runs.directory:RunDirectory.write_cases",
        "segbench.loggers.curves:Curves.save",
        "segbench.training.run:read_cases",
        "segbench.training.run:summarise",
    ],
    "result shown": ["segbench.commands.train:show_run"],
    "garbage": ["gc:collect"],
    "flush to disk": ["os:fsync"],
}
"""Functions of each phase. Time inside of one that another calls counts for the inner one; the rest is `other`."""


class Clock:
    """Wall and CPU seconds, and calls, of each phase."""

    def __init__(self):
        self.stack = ["other"]
        self.last = self.now()
        self.forget()

    def forget(self):
        self.wall, self.cpu, self.calls = Counter(), Counter(), Counter()

    @staticmethod
    def now():
        return time.perf_counter(), time.process_time()

    def switch(self):
        now = self.now()
        self.wall[self.stack[-1]] += now[0] - self.last[0]
        self.cpu[self.stack[-1]] += now[1] - self.last[1]
        self.last = now

    def watch(self, phase, place):
        module, _, path = place.partition(":")
        owner, name = importlib.import_module(module), path
        if "." in path:
            first, name = path.split(".")
            owner = getattr(owner, first)
        function = inspect.getattr_static(owner, name)

        @functools.wraps(function)
        def timed(*values, **named):
            self.switch()
            self.stack.append(phase)
            self.calls[phase] += 1
            try:
                return function(*values, **named)
            finally:
                self.switch()
                self.stack.pop()

        setattr(owner, name, timed)


def open_files() -> Counter[str]:
    """What is open, by what it is: files by their name, others such as sockets by their kind."""
    found: Counter[str] = Counter()
    for handle in os.listdir("/proc/self/fd"):
        try:
            found[Path(os.readlink(f"/proc/self/fd/{handle}")).name.partition("[")[0]] += 1
        except OSError:  # the handle of this very listing
            continue
    return found


def memory() -> float:
    """MiB that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def measure(clock, runs, arguments):
    """After each run of one sweep: the clock's readings, memory in MiB, and open files."""
    readings, used, files = [], [], []
    train = command.COMMANDS["train"]

    def counted(config):
        train(config)
        clock.switch()
        readings.append((clock.wall, clock.cpu, clock.calls))
        clock.forget()
        used.append(memory())
        files.append(open_files())

    command.COMMANDS["train"] = counted
    try:
        with tempfile.TemporaryDirectory() as folder:
            sweep = [f"seed=range(0,{runs})", f"hydra.sweep.dir={folder}", "trainer.max_steps=1"]
            command._run("train", [*sweep, "trainer.progress=false", *arguments, "-m"])
    finally:
        command.COMMANDS["train"] = train
    return readings, used, files


def report(logger, readings, used, files):
    def median(values):
        return 1e3 * statistics.median(values)

    def overhead(counter):
        return counter.total() - sum(counter[name] for name in EXCLUDED)

    walls, cpus, calls = zip(*readings[2:], strict=True)
    wall, cpu = [overhead(one) for one in walls], [overhead(one) for one in cpus]
    first = overhead(readings[0][0])
    print(f"logger={logger}: overhead of one run {median(wall):.0f} ms, {median(cpu):.0f} ms of it on the CPU", end="")
    print(f" (least {1e3 * min(wall):.0f} and {1e3 * min(cpu):.0f}; of the first run {first:.1f} s)")
    for phase in sorted(PHASES | {"other": []}, key=lambda name: -median([one[name] for one in walls])):
        times = median([one[phase] for one in walls]), median([one[phase] for one in cpus])
        note = "  (not counted)" if phase in EXCLUDED else ""
        number = statistics.median(one[phase] for one in calls)
        print(f"  {phase:14} {times[0]:7.1f} ms, CPU {times[1]:7.1f} ms in {number:.0f} calls{note}")
    settled = min(SETTLED, len(used) - 1)
    print(f"  after run {settled} and run {len(used)}: memory {used[settled - 1]:.0f} and {used[-1]:.0f} MiB", end="")
    print(f" ({used[-1] / used[settled - 1] - 1:+.1%});", end="")
    print(f" open files {files[settled - 1].total()} and {files[-1].total()}", end="")
    more = files[-1] - files[settled - 1]
    print(f", more than before: {', '.join(f'{count} {name}' for name, count in more.items())}" if more else "")


def main() -> None:
    arguments = sys.argv[1:]
    runs = int(arguments.pop(0)) if arguments and "=" not in arguments[0] else 8
    asked = [one.partition("=")[2] for one in arguments if one.startswith("logger=")]
    arguments = [one for one in arguments if not one.startswith("logger=")]
    clock = Clock()
    for phase, places in PHASES.items():
        for place in places:
            clock.watch(phase, place)
    for logger in asked or ("csv", "wandb"):
        report(logger, *measure(clock, runs, [f"logger={logger}", *arguments]))


if __name__ == "__main__":
    main()
