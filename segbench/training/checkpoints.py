"""Checkpoints: the newest and the best state of a training, there whole or not at all."""

from __future__ import annotations

import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from segbench.errors import UserError
from segbench.runs.criterion import Criterion
from segbench.runs.directory import RunDirectory
from segbench.system.atomic import commit
from segbench.training.kept_states import is_whole, state_at
from segbench.training.stopper import Stopper, highest

log = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Checkpoints: `last.ckpt` after every validation and on a stop, `best.ckpt` with the best score.

    What `last.ckpt` was before is `former.ckpt`: whatever becomes of the one, the run goes on from the other.

    Each is written under a temporary name and renamed, so that there is a whole one at any instant.
    A checkpoint at a step that is validated is written after the validation, never between.

    Args:
        directory: of the run: the newest state of the training goes there, the one before it stays beside it, and so
            does the best one.
        every: steps between further checkpoints, or None.
        criterion: which of two scores is better.
        stopper: decides whether the run should stop.
    """

    def __init__(self, directory: RunDirectory, every: int | None, criterion: Criterion, stopper: Stopper) -> None:
        self.last, self.former = directory.last_checkpoint, directory.former_checkpoint
        self.best = directory.best_checkpoint
        self.every = every
        self.criterion = criterion
        self.stopper = stopper
        self.best_score: float | None = None
        self.best_step = 0
        self.train_score: float | None = None
        self._seconds_before = 0.0
        self._since = time.monotonic()
        self._uncommitted = False
        self._failure: OSError | None = None

    @property
    def seconds(self) -> float:
        """Time spent in training up to now, that of interrupted processes up to their checkpoint included."""
        return self._seconds_before + time.monotonic() - self._since

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start the clock.

        Raises:
            UserError: where the best state of a run that goes on is lost.
        """
        if self.best_score is not None:
            self._mend_best(trainer)
        self._since = time.monotonic()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop the clock."""
        if self._uncommitted:  # a callback of the user's has ended the training after this step
            self._commit(trainer)
        self._seconds_before, self._since = self.seconds, time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """The state that a continued run has to know."""
        return {
            "best_score": self.best_score,
            "best_step": self.best_step,
            "train_score": self.train_score,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over from the run before."""
        self.best_score = state_dict["best_score"]
        self.best_step = state_dict["best_step"]
        self.train_score = state_dict["train_score"]
        self._seconds_before = state_dict["seconds"]

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *args: Any) -> None:
        """See to a validation after the last step; write where no validation follows this step."""
        batches = trainer.fit_loop.epoch_loop.total_batch_idx + 1
        if trainer.global_step == trainer.max_steps:
            trainer.val_check_batch = batches
        if batches % int(trainer.val_check_batch or 1) == 0:
            return
        at_step = batches % trainer.accumulate_grad_batches == 0
        due = self.every is not None and at_step and trainer.global_step % self.every == 0
        stopping = at_step and self.stopper.should_stop(trainer)
        if due or stopping:
            self._save(trainer)
            self._uncommitted = True

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *args: Any) -> None:
        """Commit the checkpoint of the step before; then a run stops.

        Lightning logs a step only after its checkpoint is due: committed at once, the checkpoint of a run that is
        killed between the two would continue without that point of the curves.
        """
        if self._uncommitted:
            self._commit(trainer)
            self.stopper.stop_as_agreed()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the state, which is also the best one if its score is better."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self.keep(trainer)
        self.stopper.should_stop(trainer)
        self.stopper.stop_as_agreed()

    def keep(self, trainer: L.Trainer) -> None:
        """Write the state that has just been validated, as the best one too if its score is better."""
        score = float(trainer.callback_metrics[f"validation/{self.criterion.key}"])
        improved = self.best_score is None or self.criterion.better(score, self.best_score)
        if improved:
            self.best_score, self.best_step = score, trainer.global_step
            seen = trainer.callback_metrics.get(f"train/{self.criterion.key}")
            self.train_score = None if seen is None else float(seen)
        self._save(trainer)
        self._commit(trainer, also_best=improved)

    def _mend_best(self, trainer: L.Trainer) -> None:
        """Replace a best state that is damaged or gone by another one of its step, before further steps are spent."""
        lost = False
        if trainer.is_global_zero and not is_whole(self.best):
            found = state_at(self.best_step, [path for path in (self.last, self.former) if path.exists()])
            lost = found is None
            if found is not None:
                log.warning("%s is damaged or gone: %s is of the same step", self.best, found.name)
                commit(_second(found, self.best), self.best)
        if highest(trainer, int(lost)):
            raise UserError(
                f"{self.best} is damaged or gone, and no other state is of its step ({self.best_step}): delete"
                f" {self.best.parents[1]} to make the run anew"
            )

    @property
    def _temporary(self) -> Path:
        return self.last.with_name(f".{self.last.name}.tmp")

    def _save(self, trainer: L.Trainer) -> None:
        """Write the state under a temporary name, in the first process."""
        try:
            trainer.save_checkpoint(self._temporary, weights_only=False)
        except OSError as error:
            self._failure = error
            trainer.strategy.barrier()  # where the others wait for the file

    def _commit(self, trainer: L.Trainer, also_best: bool = False) -> None:
        """Write the curves, and then give the state its name; where that fails, all processes end."""
        for logger in trainer.loggers:
            logger.save()
        failure, self._failure, self._uncommitted = self._failure, None, False
        if trainer.is_global_zero and failure is None:
            try:
                self._rename(also_best)
            except OSError as error:
                failure = error
        if highest(trainer, int(failure is not None)):
            if trainer.is_global_zero:
                self._temporary.unlink(missing_ok=True)
            reason = "the first process failed" if failure is None else failure.strerror or failure
            raise UserError(
                f"{self.last} cannot be written: {reason}; the checkpoint before is still there"
            ) from failure

    def _rename(self, also_best: bool) -> None:
        # Best first: where a crash comes between the two, the step is repeated and both agree again.
        if also_best:
            commit(_second(self._temporary, self.best), self.best)
        with suppress(OSError):  # new, or without links and short of space: then there is no fall-back, or an older one
            second = _second(self.last, self.former)
            second.replace(self.former)
            second.unlink(missing_ok=True)  # two names of one file are not replaced: it is there since a crash
        commit(self._temporary, self.last)


def _second(source: Path, path: Path) -> Path:
    """A second name of a file, or its copy where the file system has no links: the temporary name of another path."""
    second = path.with_name(f".{path.name}.tmp")
    second.unlink(missing_ok=True)
    try:
        second.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, second)
    return second
