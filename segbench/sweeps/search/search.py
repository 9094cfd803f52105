"""The search for hyper-parameters: Optuna asks for runs, any launcher executes them, their validation judges them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig

from segbench.errors import UserError
from segbench.runs.criterion import Criterion, best_score
from segbench.runs.directory import RunDirectory
from segbench.sweeps.job import Job
from segbench.sweeps.plan import plan
from segbench.sweeps.sweeper import AdaptiveSweeper

if TYPE_CHECKING:  # imported when a search starts: other commands need no Optuna
    from segbench.sweeps.search.space import Space
    from segbench.sweeps.search.trials import Trials

JOURNAL = "search.journal"

CALLBACK = "segbench.sweeps.search.pruning.report_to_search"
"""It is handed to each run in its configuration, so that a run need not know of searches."""

log = logging.getLogger(__name__)


class Search(AdaptiveSweeper):
    """A Hydra sweeper: see conf/hydra/sweeper/optuna.yaml for its values.

    The best validation score of a run is all that is taken from it; scores of test cases are not read. Whatever stops
    the search, the same command continues it: what is known is in `search.journal` of the sweep's folder.

    Raises:
        UserError: where Optuna is not installed.
    """

    def __init__(
        self,
        trials: int,
        at_once: int,
        sampler: DictConfig,
        pruner: DictConfig | None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        if find_spec("optuna") is None:
            raise UserError("hydra/sweeper=optuna: Optuna is not installed: pip install 'segbench[search]'")
        self.trials = trials
        self.at_once = at_once
        self.sampler = sampler
        self.pruner = pruner
        super().__init__(params)

    def sweep(self, arguments: Sequence[str]) -> None:
        """Execute trials until there are as many as asked for, and say which was the best.

        Args:
            arguments: the overrides as typed.
        """
        from segbench.sweeps.search.space import parse_space
        from segbench.sweeps.search.trials import Trials

        space = parse_space(self.overrides(arguments), self.context.config_loader)
        folder = self.folder
        with self.directory():
            trials = Trials(folder / JOURNAL, space, self.sampler, self.pruner, self._criterion(space))
            self._check_same(trials, folder)
            trials.repeat_failed()  # what an earlier command met: a full disk, a node without its card
            self._search(trials, folder)

    def _search(self, trials: Trials, folder: Path) -> None:
        from segbench.sweeps.search.results import show_best, write_table

        broken_off: set[int] = set()
        while batch := self._next(trials, broken_off):
            jobs = {number: self._job(trials, folder, number) for number in batch}
            for number, job in jobs.items():
                trials.note(number, id=job.id, run=job.name)
            # Two trials of one batch may have drawn the same values: one run, which counts for both.
            once = {job.path: job.overrides for job in reversed(jobs.values())}
            self.launcher.launch(list(reversed(once.values())), initial_job_idx=batch[0])
            broken_off |= {number for number, job in jobs.items() if not _tell(trials, number, job)}
            write_table(trials, folder)
        write_table(trials, folder)
        show_best(trials, folder)

    def _next(self, trials: Trials, broken_off: set[int]) -> list[int]:
        """The trials to execute together: trials that were begun before come first."""
        batch = [number for number in trials.begun() if number not in broken_off][: self.at_once]
        while len(batch) < self.at_once and (number := trials.begin(self.trials)) is not None:
            batch.append(number)
        return batch

    def _criterion(self, space: Space) -> Criterion:
        """The criterion of all trials, by which the search judges them."""
        from segbench.metrics.configured import criterion

        for key in space.varied:
            if key.partition("@")[0].partition(".")[0] == "metrics":
                raise UserError(f"{key}: a search judges all trials by the same metrics; fix it")
        return criterion(self.context.config_loader.load_sweep_config(self.config, space.example()).metrics)

    def _job(self, trials: Trials, folder: Path, number: int) -> Job:
        journal = QuotedString(str(folder / JOURNAL), Quote.single).with_quotes()
        overrides = [
            *trials.space.overrides(trials.values(number)),
            f"search={{_target_:{CALLBACK},journal:{journal},trial:{number}}}",
        ]
        (job,) = plan(self.context, self.config, [overrides])
        return job

    def _check_same(self, trials: Trials, folder: Path) -> None:
        """Refuse to continue a search in which something else was fixed: its runs could not be compared."""
        noted = (trial for trial in trials.all() if "id" in trial.user_attrs)
        for trial in noted:
            job = self._job(trials, folder, trial.number)
            if job.id != trial.user_attrs["id"]:
                raise UserError(
                    f"{folder} holds a search in which something else was fixed (trial {trial.number} was "
                    f"{trial.user_attrs['run']}, it would now be {job.name}): choose another hydra.sweep.dir"
                )
            return  # of one search, all are alike in this


def _tell(trials: Trials, number: int, job: Job) -> bool:
    """Report to the sampler how the run of a trial ended; return False where it has not."""
    from optuna.trial import TrialState

    try:
        record = RunDirectory(job.path).record
    except UserError as error:
        record = {"status": "failed", "error": str(error)}
    status = record.get("status")
    if status == "finished":
        score = best_score(record)
        if score is not None:
            trials.end(number, TrialState.COMPLETE, score)
            return True
        record = {"status": "failed", "error": "no validation score"}
    elif status == "pruned":
        trials.end(number, TrialState.PRUNED)
        return True
    if record.get("status") == "failed":
        trials.note(number, reason=str(record.get("error") or ""))
        trials.end(number, TrialState.FAIL)
        return True
    return False
