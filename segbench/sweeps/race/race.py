"""A race of methods: all of them get one run, then runs go where the answer is not known yet."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segbench.errors import UserError
from segbench.runs.criterion import Criterion, best_score
from segbench.runs.directory import RunDirectory
from segbench.sweeps.job import Job
from segbench.sweeps.plan import plan
from segbench.sweeps.race.decisions import Aim, Rules
from segbench.sweeps.race.entries import Field, parse_field
from segbench.sweeps.race.results import Course, conclusion, write_results
from segbench.sweeps.sweeper import AdaptiveSweeper

log = logging.getLogger(__name__)


class Race(AdaptiveSweeper):
    """A Hydra sweeper: see conf/hydra/sweeper/race.yaml for its values.

    Only validation scores are read. What was decided is computed anew from the run directories, so that the same
    command continues a race that was stopped, and decides the same.
    """

    def __init__(
        self,
        decide: Aim,
        certainty: float,
        effect: float,
        at_once: int,
        runs: int | None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.rules = Rules(decide, certainty, effect)
        self.at_once = at_once
        self.runs = runs
        super().__init__(params)

    def sweep(self, arguments: Sequence[str]) -> None:
        """Run blocks until the question is answered, and say what is known.

        Args:
            arguments: the overrides as typed.
        """
        field = parse_field(self.overrides(arguments), self.context.config_loader)
        criterion = self._criterion(field)
        self.rules.check(len(field.methods))
        with self.directory():
            course = self._race(field, criterion)
        for line in conclusion(course):
            log.info("%s", line)

    def _race(self, field: Field, criterion: Criterion) -> Course:
        size = len(field.methods), len(field.blocks)
        course = Course(field, self.rules, criterion, np.full(size, math.nan), {}, {}, history := [])
        for first in range(0, size[1], self.at_once):
            racing = self.rules.racers(criterion.sign * course.scores, course.failed)
            blocks = range(first, min(first + self.at_once, size[1]))
            if len(racing) < 2 or self._spent(course, len(racing) * len(blocks)):
                break
            jobs = self._jobs(field, racing, blocks)
            self.launcher.launch([job.overrides for job in jobs.values()], initial_job_idx=len(course.runs))
            for block in blocks:
                for method in racing:
                    self._note(course, method, block, jobs[method, block])
                history.append(self.rules.states(criterion.sign * course.scores[:, : block + 1], course.failed))
            write_results(course, self.folder)
        return course

    def _spent(self, course: Course, asked: int) -> bool:
        return self.runs is not None and len(course.runs) + asked > self.runs

    def _jobs(self, field: Field, racing: Sequence[int], blocks: Sequence[int]) -> dict[tuple[int, int], Job]:
        places = [(method, block) for block in blocks for method in racing]
        jobs = plan(self.context, self.config, [field.overrides(*place) for place in places])
        if len(jobs) < len(places):
            raise UserError("hydra/sweeper=race: two of the methods are the same run; leave one of them out")
        if any(job.data != jobs[0].data for job in jobs):
            raise UserError("hydra/sweeper=race: a race is run on one data set; fix data and sweep the rest")
        return dict(zip(places, jobs, strict=True))

    @staticmethod
    def _note(course: Course, method: int, block: int, job: Job) -> None:
        record = RunDirectory(job.path).record
        course.runs[method, block] = job.name
        score = best_score(record) if record.get("status") == "finished" else None
        if score is None:
            course.failed[method] = str(record.get("error") or f"{job.name} has no validation score")
        else:
            course.scores[method, block] = score

    def _criterion(self, field: Field) -> Criterion:
        """The criterion of all methods."""
        from segbench.metrics.configured import criterion

        for override in field.methods[0]:
            if override.partition("=")[0].partition("@")[0].partition(".")[0] == "metrics":
                raise UserError(f"{override}: a race judges all methods by the same metrics; fix it")
        return criterion(self.context.config_loader.load_sweep_config(self.config, field.overrides(0, 0)).metrics)
