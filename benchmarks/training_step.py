"""What a training step through segbench costs beside a bare PyTorch loop over tensors in memory.

The same U-Net (31 million parameters), 256 x 256, batch 4, the same precision and memory format, in one
process; rounds of one and the other alternate, so that a noisy machine hits both. segbench's side
includes drawing, augmenting and loading the patches, logging and the learning-rate schedule.

    python benchmarks/training_step.py [rounds] [steps]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import lightning as L
import torch
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.config.instantiation import build
from segbench.training import assembly
from segbench.training.trainer import make_trainer
from tests.made_runs import configure

SETTINGS = (
    "model=unet", "loss=cross_entropy", "data.patch_size=[256,256]", "data.batch_size=4", "data.dataset.cases=20",
    "augmentation=standard", "trainer.progress=false",
)  # fmt: skip


class Clock(L.Callback):
    """Notes when each step ends."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        synchronise(self.device)
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        return [end - start for start, end in zip(self.ends[1:], self.ends[2:], strict=False)]


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def through_segbench(config, data, steps: int) -> tuple[list[float], str, torch.device]:
    module = assembly.build_module(config, assembly.Labels.of(data.dataset))
    clock = Clock(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    config.trainer.max_steps = steps
    config.trainer.validate_every = steps
    config.trainer.lightning = {"limit_val_batches": 0, "enable_checkpointing": False}
    trainer = make_trainer(config.trainer, [clock], [])
    trainer.fit(module, data)
    return clock.seconds, trainer.precision, clock.device


def bare(config, data, steps: int, precision: str, device: torch.device) -> list[float]:
    """The shortest loop that trains the same network in the same precision and memory format."""
    torch.manual_seed(0)
    model = build(config.model, "model").to(device, memory_format=torch.channels_last).train()
    optimizer = build(config.optimizer, "optimizer")(model.parameters())
    image = torch.randn(4, data.dataset.channels, 256, 256, device=device).contiguous(memory_format=torch.channels_last)
    target = torch.randint(0, len(data.dataset.classes), (4, 256, 256), device=device)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            logits = model(image)["mask"]
        loss = cross_entropy(logits.float(), target)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.trainer.gradient_clip)
        optimizer.step()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return seconds[2:]


def main() -> None:
    rounds, steps = (int(one) for one in (sys.argv[1:] + ["3", "8"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as cache:
        config = configure(*SETTINGS, f"data.cache={cache}")
        data = assembly.build_data(config)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            seconds, precision, device = through_segbench(config, data, steps)
            ours += seconds
            theirs += bare(config, data, steps, precision, device)
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"{device}, {precision}, {torch.get_num_threads()} threads, {len(ours)} and {len(theirs)} steps")
    print(f"segbench {statistics.median(ours):.4f} s, bare loop {statistics.median(theirs):.4f} s a step")
    print(f"ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
