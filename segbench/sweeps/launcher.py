"""The common part of all ways of executing a sweep: finished runs are skipped, interrupted runs are tried again."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from segbench.config.composing import pinned
from segbench.errors import UserError
from segbench.loggers import check_loggers
from segbench.runs.data_check import check_still_same
from segbench.runs.directory import RunDirectory
from segbench.runs.sweep_record import add_asked
from segbench.sweeps.job import Job
from segbench.sweeps.plan import plan
from segbench.system.processes import refuse_several

log = logging.getLogger(__name__)


class SweepLauncher(ABC):
    """A launcher of the runs of a sweep that are not done yet.

    Args:
        retries: how often a run that broke off or failed is tried again. A run that failed by what only the user
            can mend (an impossible value, a full disk) is not.
    """

    context: HydraContext
    config: DictConfig
    task: TaskFunction

    def __init__(self, retries: int = 0) -> None:
        self.retries = retries

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives before the first launch."""
        self.context, self.task, self.config = pinned(hydra_context), task_function, config

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return Path(self.config.hydra.sweep.dir).absolute()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Execute runs; called by the sweeper, which may do so several times.

        Returns:
            One result per run. None of them is a failure, so that the sweep goes on to its end: what failed is in
            the run directories, and is passed to the command, whose exit code says so.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs = plan(self.context, self.config, job_overrides)
        self.check(jobs)
        _check_data(jobs)
        if not all(job.done for job in jobs):
            check_loggers(self.config.logger)  # once, and before anything is written
        add_asked(self.folder, self.config.hydra.runtime.choices.get("experiment"), jobs)
        left = [job for job in jobs if not job.done]
        if len(left) < len(jobs):
            log.info("%d of %d runs are done already", len(jobs) - len(left), len(jobs))
        for attempt in range(self.retries + 1):
            if attempt:
                left = [job for job in left if _may_be_tried_again(job)]
                if left:
                    log.info("trying %d again (%d of %d)", len(left), attempt, self.retries)
            for job in left:
                RunDirectory(job.path).forget_failure()
            if left:
                self.execute(left)
        self._tell_failures(jobs)
        return [self._result(overrides) for overrides in job_overrides]

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuse runs that cannot be executed in this way, before any is.

        Raises:
            UserError: naming what is wrong.
        """
        for job in jobs:
            refuse_several(job.processes or 1, job.nodes)  # how many "auto" is, the run finds out

    @abstractmethod
    def execute(self, jobs: Sequence[Job]) -> None:
        """Execute runs, each until it is done, has failed or broke off; return when none is left."""

    def _tell_failures(self, jobs: Sequence[Job]) -> None:
        failed = [job for job in jobs if not job.done]
        if failed:
            records = {job.name: RunDirectory(job.path).record for job in failed}
            stopped = all(record.get("status") == "interrupted" for record in records.values())
            reasons = [f"{name}: {record.get('error') or 'broke off'}" for name, record in records.items()]
            some = "; ".join(reasons[:3]) + ("; .." if len(reasons) > 3 else "")
            failures: list[Exception] = getattr(self.task, "failures", [])
            failures.append(
                UserError(f"{len(failed)} of {len(jobs)} runs {'stopped' if stopped else 'failed'}: {some}")
            )

    @staticmethod
    def _result(overrides: Sequence[str]) -> JobReturn:
        result = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
        result.return_value = None
        return result


def _check_data(jobs: Sequence[Job]) -> None:
    """Refuse to go on with runs whose images or masks are others now; each data set is looked at once."""
    of_data: dict[str, list[Job]] = {}
    for job in jobs:
        of_data.setdefault(json.dumps(job.data, sort_keys=True), []).append(job)
    for same in of_data.values():
        if same[0].data is not None:
            directories = [RunDirectory(job.path) for job in same]
            begun = [directory for directory, job in zip(directories, same, strict=True)
                     if directory.record.get("id") == job.id]  # fmt: skip
            check_still_same(begun, DictConfig(same[0].data))


def _may_be_tried_again(job: Job) -> bool:
    return not job.done and not RunDirectory(job.path).record.get("needs_user", False)
