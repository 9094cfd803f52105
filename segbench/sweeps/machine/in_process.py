"""A sweep in one process: one run after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hydra.core.utils import configure_log, run_job
from omegaconf import open_dict

from segbench.data import store_cache
from segbench.sweeps.job import Job
from segbench.sweeps.launcher import SweepLauncher

log = logging.getLogger(__name__)


class InProcess(SweepLauncher):
    """One run after the other, in this process."""

    def __init__(self, retries: int = 0) -> None:
        super().__init__(retries)
        self._number = 0

    def execute(self, jobs: Sequence[Job]) -> None:
        """Execute one run after the other."""
        last = self._number + len(jobs)
        with store_cache.kept():
            for job in jobs:
                log.info("run %d of %d: %s", self._number + 1, last, job.name)
                self._execute(job)

    def _execute(self, job: Job) -> None:
        config = self.context.config_loader.load_sweep_config(self.config, list(job.overrides))
        with open_dict(config):
            config.hydra.job.id = str(self._number)
            config.hydra.job.num = self._number
        self._number += 1
        run_job(
            hydra_context=self.context,
            task_function=self.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
