"""The progress of a training on the console."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
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

LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal."""

LONG = 0.5
"""Share of a training's time that its validations may take without a word."""

WORTH_A_WORD = 30.0
"""Seconds of training from which on that share is looked at."""


class ProgressBar(Callback):
    """Steps, loss, score and remaining time: a bar on a terminal, elsewhere a line every few seconds.

    Args:
        criterion: names the score.
        every: steps between looks at the loss, which wait for the device.
        console: where to draw.
        clock: gives the time in seconds.
    """

    def __init__(
        self,
        criterion: Criterion,
        every: int,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.criterion = criterion
        self.every = every
        self.console = console or Console()
        self.clock = clock
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._loss = math.nan
        self._score = math.nan
        self._first_step = 0
        self._since = self._said = clock()
        self._validating = 0.0
        self._validation_began: float | None = None

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Show the bar."""
        self._since = self._said = self.clock()
        self._first_step, self._validating = trainer.global_step, 0.0
        if self.console.is_terminal and trainer.is_global_zero:
            columns = (
                TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[values]}"),
            )  # fmt: skip
            self._bar = Progress(*columns, console=self.console, refresh_per_second=4)
            self._task = self._bar.add_task("", total=trainer.max_steps, completed=trainer.global_step, values="")
            self._bar.start()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, *args: Any) -> None:
        """Move the bar, or say how far the training is."""
        first = trainer.global_step == self._first_step + 1
        due = self._is_due(trainer)
        if isinstance(outputs, Mapping) and (trainer.global_step % self.every == 0 or due):
            self._loss = float(outputs["loss"])
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=trainer.global_step, values=self._values())
        elif due or (first and trainer.is_global_zero):
            self._say_step(trainer)

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock of the validation."""
        self._validation_began = self.clock()

    def on_validation_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int, loader: int = 0
    ) -> None:
        """Say how far the validation is."""
        sizes = [int(size) for size in trainer.num_val_batches]
        self._move(trainer, "validating", sum(sizes[:loader]) + index + 1, sum(sizes))

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Show the score."""
        if trainer.state.fn != "fit":
            return
        if self._validation_began is not None:
            self._validating += self.clock() - self._validation_began
        self._score = float(trainer.callback_metrics.get(f"validation/{self.criterion.key}", math.nan))
        if self._bar is None and trainer.is_global_zero:
            self._say_step(trainer)

    def on_test_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int, loader: int = 0
    ) -> None:
        """Say how far the test is."""
        self._move(trainer, "testing", index + 1, sum(int(size) for size in trainer.num_test_batches))

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Remove the bar; say so where most of the time went into validations."""
        self._close()
        seconds = self.clock() - self._since
        share = self._validating / seconds if seconds > WORTH_A_WORD else 0.0
        if share > LONG and trainer.is_global_zero:
            self.console.print(
                f"{share:.0%} of the training's {seconds:.0f} s went into validations: trainer.validate_every is the"
                " number of steps between two of them",
                soft_wrap=True,
                highlight=False,
            )

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Remove the bar."""
        self._close()

    def _move(self, trainer: L.Trainer, what: str, done: int, cases: int) -> None:
        """Say how many of this process's cases are done, beside the bar or in a line."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, values=f"{self._values()}  {what} {done}/{cases}")
        elif self._is_due(trainer):
            self._said = self.clock()
            self.console.print(f"{what} case {done}/{cases}", highlight=False)

    def _is_due(self, trainer: L.Trainer) -> bool:
        """Return whether a line is to be printed again where there is no bar."""
        return self._bar is None and trainer.is_global_zero and self.clock() - self._said >= LINE_EVERY

    def _say_step(self, trainer: L.Trainer) -> None:
        self._said = self.clock()
        done = trainer.global_step - self._first_step
        pace = done / max(self.clock() - self._since, 1e-9)
        left = (trainer.max_steps - trainer.global_step) / max(pace, 1e-9)
        self.console.print(
            f"step {trainer.global_step}/{trainer.max_steps}  {self._values()}  {pace:.2f} steps/s, {left:.0f} s left",
            soft_wrap=True,
        )

    def _values(self) -> str:
        shown = {"loss": self._loss, f"validation {self.criterion.label}": self._score}
        return "  ".join(f"{name} {value:.3f}" for name, value in shown.items() if not math.isnan(value))

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
