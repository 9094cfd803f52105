"""What the streaming metrics cost: training steps and validations with and without them, side by side.

A small U-Net on patches of 128 x 128; runs with none, with the standard ones (validation alone) and with F1 and IoU of
the batches at logged steps alternate in one process. Processor time of one thread, which other work on the machine
hardly changes.

    python benchmarks/streaming_metrics.py [rounds] [steps]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import lightning as L
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.training import assembly
from segbench.training.trainer import make_trainer
from tests.made_runs import configure

SETTINGS = ("data.dataset.cases=20", "trainer.progress=false", "trainer.accelerator=cpu", "data.workers=0")
METRIC = "{{_target_: torchmetrics.classification.{}, num_classes: '${{measured.classes}}', validate_args: false}}"
WAYS = {
    "none": ("metrics.streaming=null",),
    "standard": (),
    "batches": (
        f"+metrics.streaming.train.pixel_f1={METRIC.format('MulticlassF1Score')}",
        f"+metrics.streaming.train.pixel_iou={METRIC.format('MulticlassJaccardIndex')}",
    ),
}


class Clock(L.Callback):
    """Adds up the time of training steps and of validations."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.validations: list[float] = []
        self.start = 0.0

    def on_train_batch_start(self, *_: object) -> None:
        self.start = time.process_time()

    def on_train_batch_end(self, *_: object) -> None:
        self.steps.append(time.process_time() - self.start)

    def on_validation_start(self, *_: object) -> None:
        self.start = time.process_time()

    def on_validation_end(self, *_: object) -> None:
        self.validations.append(time.process_time() - self.start)


def measure(way: str, cache: str, steps: int) -> Clock:
    config = configure(*SETTINGS, f"data.cache={cache}", *WAYS[way])
    data = assembly.build_data(config)
    module = assembly.build_module(config, assembly.Labels.of(data.dataset))
    clock = Clock()
    config.trainer.max_steps = steps
    config.trainer.validate_every = steps
    config.trainer.lightning = {"enable_checkpointing": False}
    make_trainer(config.trainer, [clock], []).fit(module, data)
    return clock


def main() -> None:
    torch.set_num_threads(1)
    rounds, steps = (int(number) for number in (sys.argv[1:] + ["5", "20"][len(sys.argv) - 1 :]))
    clocks: dict[str, list[Clock]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(rounds):
            for way, done in clocks.items():
                done.append(measure(way, cache, steps))
    for name in ("steps", "validations"):
        # Means within a run, since only some steps are logged; the median over rounds.
        cost = {
            way: [statistics.mean(getattr(clock, name)[name == "steps" :]) for clock in done]
            for way, done in clocks.items()
        }
        ratios = {
            way: statistics.median(one / none for one, none in zip(cost[way], cost["none"], strict=True))
            for way in ("standard", "batches")
        }
        alone = statistics.median(cost["none"])
        print(f"{name}: {alone:.4f} s without; x {ratios['standard']:.3f} standard, x {ratios['batches']:.3f} batches")


if __name__ == "__main__":
    main()
