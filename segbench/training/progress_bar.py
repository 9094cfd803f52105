"""The progress of a training on the console."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from segbench.runs.criterion import Criterion


class ProgressBar(Callback):
    """Steps, loss, score and remaining time: a bar on a terminal, a line per validation elsewhere.

    Args:
        criterion: names the score.
        every: steps between looks at the loss, which wait for the device.
        console: where to draw.
    """

    def __init__(self, criterion: Criterion, every: int, console: Console | None = None) -> None:
        self.criterion = criterion
        self.every = every
        self.console = console or Console()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._loss = math.nan
        self._score = math.nan
        self._since = time.monotonic()
        self._first_step = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Show the bar."""
        self._since, self._first_step = time.monotonic(), trainer.global_step
        if self.console.is_terminal and trainer.is_global_zero:
            columns = (
                TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[values]}"),
            )  # fmt: skip
            self._bar = Progress(*columns, console=self.console, refresh_per_second=4)
            self._task = self._bar.add_task("", total=trainer.max_steps, completed=trainer.global_step, values="")
            self._bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, *args: Any) -> None:
        """Move the bar."""
        if trainer.global_step % self.every == 0 and isinstance(outputs, Mapping):
            self._loss = float(outputs["loss"])
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=trainer.global_step, values=self._values())

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Show the score."""
        if trainer.state.fn != "fit":
            return
        self._score = float(trainer.callback_metrics.get(f"validation/{self.criterion.key}", math.nan))
        if self._bar is None and trainer.is_global_zero:
            done = trainer.global_step - self._first_step
            pace = done / max(time.monotonic() - self._since, 1e-9)
            left = (trainer.max_steps - trainer.global_step) / max(pace, 1e-9)
            self.console.print(
                f"step {trainer.global_step}/{trainer.max_steps}  {self._values()}  "
                f"{pace:.2f} steps/s, {left:.0f} s left"
            )

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Remove the bar."""
        self._close()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Remove the bar."""
        self._close()

    def _values(self) -> str:
        shown = {"loss": self._loss, f"validation {self.criterion.label}": self._score}
        return "  ".join(f"{name} {value:.3f}" for name, value in shown.items() if not math.isnan(value))

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
