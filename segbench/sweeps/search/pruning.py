"""Reports of a run to its search, which ends it early where it finds it hopeless."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import lightning as L
import optuna
from lightning.pytorch.callbacks import Callback
from optuna.trial import Trial

from segbench.errors import UserError
from segbench.runs.criterion import Criterion
from segbench.sweeps.search.journal import STUDY, open_journal
from segbench.sweeps.search.trials import PRUNER, build_pruner, open_trial
from segbench.system.processes import is_main_process

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class ReportToSearch(Callback):
    """A callback that reports the score of each validation to the trial that this run is, and ends a hopeless run.

    It ends as early stopping does: with its checkpoint, in order. Of several processes the first asks, and all do as
    it says. A search that cannot be reached does not stop a training.

    Args:
        trial: of the search; None in processes other than the first.

    Attributes:
        hopeless: whether the run is to be ended.
    """

    def __init__(self, trial: Trial | None) -> None:
        self.trial = trial
        self.hopeless = False

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Ask again: the process before may have been killed after its last report."""
        if 0 < trainer.global_step < trainer.max_steps:
            self._end_if_hopeless(trainer)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Report the score; a step that a killed process has reported before is not reported twice."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        criterion: Criterion = module.criterion  # type: ignore[assignment]
        step, score = trainer.global_step, float(trainer.callback_metrics[f"validation/{criterion.key}"])
        if self.trial is not None and math.isfinite(score) and step not in self._reported():
            trial = self.trial
            _attempt(lambda: trial.report(score, step), None)
        if step < trainer.max_steps:  # else there is nothing to be saved
            self._end_if_hopeless(trainer)

    def _reported(self) -> Mapping[int, float]:
        trial = self.trial
        assert trial is not None
        return _attempt(lambda: trial.storage.get_trial(trial._trial_id).intermediate_values, {})

    def _end_if_hopeless(self, trainer: L.Trainer) -> None:
        hopeless = self.trial is not None and bool(_attempt(self.trial.should_prune, False))
        self.hopeless = bool(trainer.strategy.broadcast(hopeless))
        if self.hopeless:
            log.info("the search ends this run at step %d: others did better", trainer.global_step)
            trainer.should_stop = True


def report_to_search(journal: str, trial: int) -> ReportToSearch:
    """The callback of a run.

    Args:
        journal: the file of the search.
        trial: the number of the trial that the run is.

    Raises:
        UserError: where the search has no such trial.
    """
    if not is_main_process():
        return ReportToSearch(None)
    path, number = Path(journal), int(trial)
    if not path.exists():
        raise UserError(f"search.journal={path}: there is no such file; it is set by hydra/sweeper=optuna alone")
    storage = open_journal(path)
    try:
        study = optuna.load_study(study_name=STUDY, storage=storage)
        study.pruner = build_pruner(study.user_attrs.get(PRUNER))
        return ReportToSearch(open_trial(study, storage, number))
    except KeyError as error:
        raise UserError(f"search.trial={number}: {path} has no such trial ({error})") from None


def _attempt(call: Callable[[], Answer], otherwise: Answer) -> Answer:
    """Return the answer of a call to the search; a training does not fail by a full disk or a lock elsewhere."""
    try:
        return call()
    except Exception as error:
        log.warning("the search was not reached, the training goes on: %s: %s", type(error).__name__, error)
        return otherwise
