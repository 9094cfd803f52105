"""A sweep as an array of SLURM jobs, submitted by submitit."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit
import submitit.helpers
from omegaconf import OmegaConf

from segbench.errors import UserError, as_line
from segbench.runs.directory import RunDirectory
from segbench.runs.sweep_record import write_waiting
from segbench.sweeps.cluster.pending import PASSING, Reasons, remedy_of_refusal
from segbench.sweeps.cluster.slurm_job import run_job
from segbench.sweeps.cluster.snapshot import pin
from segbench.sweeps.cluster.squeue import HELD, RUNNING, Queued, array_size, ending, queue, release
from segbench.sweeps.cluster.stopped_job import script_lines, stop_of
from segbench.sweeps.job import Job
from segbench.sweeps.launcher import SweepLauncher
from segbench.sweeps.monitor import Monitor
from segbench.system.atomic import write_atomically
from segbench.system.signals import held_back

log = logging.getLogger(__name__)

RELEASES = 3
"""The number of times that a job is released which no node could start."""

EVERYWHERE = {
    "name", "nodes", "tasks_per_node", "gpus_per_node", "cpus_per_task", "mem_gb", "timeout_min", "stderr_to_stdout",
}  # fmt: skip
"""Parameters that submitit names alike on every kind of cluster; the names of SLURM's own begin with `slurm_` there."""

EARLY = 60
"""Seconds that SLURM may give a signal too soon, says the manual of sbatch."""

LATE = 60.0
"""Seconds after which a network file system shows what another node has written: the usual ones' longest."""


class SlurmLauncher(SweepLauncher):
    """A launcher that submits the runs that are not done, watches them, and submits anew what broke off.

    The jobs need nobody to watch them. A second command finds the jobs that SLURM still has, and submits none twice.

    Args:
        retries: see SweepLauncher. A job that was cancelled is not submitted again.
        requeues: how often one job may be queued again after it was stopped in time.
        poll: seconds between two looks at the queue.
        code: which code the jobs run where it has changed since those before: "refuse", "keep" or "renew".
        resources: of each job, in the words of submitit, and of sbatch; None is left to SLURM.
    """

    def __init__(self, retries: int, requeues: int, poll: float, code: str, **resources: Any) -> None:
        super().__init__(retries)
        self.requeues = requeues
        self.poll = poll
        self.code = code
        plain: dict[str, Any] = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in resources.items()
        }
        self.resources = {key: value for key, value in plain.items() if value is not None}

    @property
    def files(self) -> Path:
        """The folder of submission files, logs of jobs and the code."""
        return self.folder / "slurm"

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuse where there is no SLURM, or where a job has no time, or other processes than its run needs."""
        if shutil.which("sbatch") is None:
            raise UserError(
                "hydra/launcher: there is no SLURM on this machine (no sbatch): log in to the cluster, or use "
                "hydra/launcher=local"
            )
        minutes, delay = self.resources.get("timeout_min"), self.resources.get("signal_delay_s", 0)
        if minutes is not None and 60 * minutes <= delay + EARLY:
            raise UserError(
                f"hydra.launcher.timeout_min={minutes}: jobs would be stopped as they begin, by the signal that comes"
                f" signal_delay_s={delay} before that time, or up to {EARLY} s sooner: give more minutes, or a smaller"
                " hydra.launcher.signal_delay_s"
            )
        tasks, nodes = self.resources.get("tasks_per_node", 1), self.resources.get("nodes", 1)
        if tasks == "auto":
            raise UserError(
                "hydra.launcher.tasks_per_node=auto: SLURM must be told how many processes a run has on each node, such"
                " as trainer.devices=4"
            )
        for job in jobs:
            if job.processes != tasks or job.nodes != nodes:
                raise UserError(
                    f"hydra.launcher has nodes={nodes} tasks_per_node={tasks}, but {job.name} has trainer.num_nodes="
                    f"{job.nodes} trainer.devices={job.processes or 'auto'}: they must be the same"
                )

    def execute(self, jobs: Sequence[Job]) -> None:
        """Submit the runs that SLURM does not have already, and watch all until none is left."""
        known, queued = self._known(), self._queue()
        left = [job for job in jobs if known.get(job.name) not in queued]
        if len(left) < len(jobs):
            log.info("SLURM has %d of the runs already", len(jobs) - len(left))
        if left:
            self._submit(left)
        try:
            self._watch(jobs)
        except KeyboardInterrupt:
            known, now = self._known(), queue()
            ids = [known[job.name] for job in jobs]
            arrays = sorted({number.partition("_")[0] for number in ids if now is None or number in now}, key=int)
            raise KeyboardInterrupt(
                "the jobs go on; the same command watches them again, "
                f"'scancel {' '.join(arrays)}' ends them, and the same command then continues them"
                if arrays
                else "the jobs have ended; the same command goes on"
            ) from None

    def _submit(self, jobs: Sequence[Job]) -> None:
        """Submit arrays, as long as SLURM allows."""
        renew = ["code=renew"] if self.code == "renew" else []  # asked for once, for the sweep and its runs
        code = pin(self.files / "code", self.code, {name for job in jobs for name in job.modules})
        self.files.chmod(0o700)  # the set-up lines in the scripts may hold a key
        executor = submitit.AutoExecutor(self.files, cluster="slurm", slurm_max_num_timeout=0)
        longest = array_size()
        try:
            executor.update_parameters(**self._parameters(code))
            for start in range(0, len(jobs), longest):
                part = jobs[start : start + longest]
                arguments = [[*job.arguments(self.config), *renew] for job in part]
                with held_back(), _outside_a_job():  # else SLURM could have jobs that nobody knows
                    submitted = executor.map_array(run_job, arguments)
                    ids = {job.name: handle.job_id for job, handle in zip(part, submitted, strict=True)}
                    write_atomically(self.files / "jobs.json", json.dumps(self._known() | ids, indent=0) + "\n")
                log.info("submitted %d runs as SLURM job %s", len(part), submitted[0].job_id.partition("_")[0])
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            remedy = remedy_of_refusal(self.resources)
            raise UserError(f"hydra/launcher: SLURM refuses the jobs: {_reason(error)}{remedy}") from None
        except (ValueError, NameError, AssertionError) as error:  # an impossible name, or a value of another type
            raise UserError(f"hydra.launcher: {as_line(error)}") from None

    def _parameters(self, code: Path) -> dict[str, Any]:
        """The resources as submitit wants them."""
        resources = dict(self.resources)
        resources["setup"] = [
            *script_lines(self.requeues, code),
            *resources.get("setup", []),
            f"export PYTHONPATH='{code}'${{PYTHONPATH:+:$PYTHONPATH}}",
            "export PYTHONSAFEPATH=1",  # else the current folder, perhaps a checkout, would come first
            'export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"',  # srun does not take it over from sbatch
        ]
        resources["additional_parameters"] = {"requeue": True, **resources.get("additional_parameters", {})}
        resources.setdefault("name", f"segbench-{self.folder.name}")
        return {key if key in EVERYWHERE else f"slurm_{key}": value for key, value in resources.items()}

    def _watch(self, jobs: Sequence[Job]) -> None:
        """Show how far the runs are until SLURM has none of them any more."""
        known = self._known()
        by_id = {known[job.name]: job for job in jobs if job.name in known}
        left = dict(by_id)  # SLURM knows how a job ended for some minutes only
        reasons, told = Reasons(), set[str]()
        released: Counter[str] = Counter()
        with Monitor(jobs) as monitor:
            while True:
                queued = self._queue()
                mine = {number: entry for number, entry in queued.items() if number in by_id}
                for number in left.keys() - mine.keys():
                    if self._has_ended(left[number], number):
                        del left[number]
                running = [by_id[number].path for number, entry in mine.items() if entry.state in RUNNING]
                waiting = [by_id[number].path for number, entry in mine.items() if entry.state not in RUNNING]
                because = reasons.of(mine)
                write_waiting(self.folder, {by_id[number].name: text for number, text in because.items()})
                self._tell_reasons(because.values(), told)
                monitor.update(waiting, running, [f"{n} wait: {why}" for why, n in Counter(because.values()).items()])
                self._release(mine, released)
                left |= {number: by_id[number] for number in mine}  # some come back
                if not left:
                    break
                time.sleep(self.poll)

    def _tell_reasons(self, reasons: Collection[str], told: set[str]) -> None:
        """Say at once why jobs wait, where that is not what all jobs wait for; the monitor then says it again."""
        for text in dict.fromkeys(reasons):
            if text not in told and not text.endswith(tuple(PASSING)):
                log.info("jobs wait: %s", text)
            told.add(text)

    def _release(self, queued: Mapping[str, Queued], released: Counter[str]) -> None:
        """Let jobs go on that SLURM holds because a node could not start them, as after it came back; not for ever."""
        for job, entry in queued.items():
            if entry.reason == HELD and released[job] < RELEASES:
                released[job] += 1
                release(job)

    def _has_ended(self, job: Job, slurm_id: str) -> bool:
        """Return whether a job has ended, and not just left the queue to come back.

        Records how it ended in the run's record, where the run itself could not.
        """
        if job.done:
            return True
        how = ending(slurm_id)
        if how is None:
            return False
        if how.text == "completed" and self._appears(job):
            return True
        directory = RunDirectory(job.path)
        when = "" if directory.status else " before the run began"
        cancelled = how.text.startswith("cancelled")
        if not cancelled and (signal := stop_of(how.code)):  # and it has been queued again as often as it may
            directory.record_stop(f"SLURM job {slurm_id} was stopped by {signal}{when}; the same command goes on")
            return True
        text = f"SLURM job {slurm_id} ended{f' as {how.text}' if how.text else ''}{when}"
        if when:
            logs = sorted(self.files.glob(f"{slurm_id}_*_log.*"), key=os.path.getsize)
            text += f": see {logs[-1] if logs else self.files}"
        directory.record_end(text, needs_user=cancelled)
        return True

    def _appears(self, job: Job) -> bool:
        """Return whether a run is done of which SLURM says so: a network file system may show it some time later."""
        until = time.monotonic() + LATE
        while not job.done and time.monotonic() < until:
            time.sleep(self.poll)
        return job.done

    def _queue(self) -> dict[str, Queued]:
        """Wait until SLURM answers: a controller that restarts is no reason to end."""
        while (answer := queue()) is None:
            log.warning("SLURM does not answer (squeue); trying again in %g s", self.poll)
            time.sleep(self.poll)
        return answer

    def _known(self) -> dict[str, str]:
        """The last SLURM job of each run, by its name."""
        try:
            known: dict[str, str] = json.loads((self.files / "jobs.json").read_text())
        except (OSError, ValueError):
            return {}
        return known


@contextmanager
def _outside_a_job() -> Iterator[None]:
    """The environment of a login node: the jobs that a job submits must not inherit what it was given.

    What says where SLURM is, and what the user has set for sbatch, stays.
    """
    kept = {name: value for name, value in os.environ.items() if name == "SLURM_CONF" or name.startswith("SBATCH_")}
    with submitit.helpers.clean_env():
        os.environ.update(kept)
        yield


def _reason(error: Exception) -> str:
    """The reason that sbatch printed."""
    lines = [line.partition("error:")[2].strip() for line in str(error).splitlines() if "error:" in line]
    return "; ".join(dict.fromkeys(filter(None, lines))) or as_line(error)
