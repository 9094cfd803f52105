"""A sweep on one machine: several runs at a time, each in a process that has its GPU, or its share of the cores."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from loky import FIRST_COMPLETED, cpu_count, wait
from omegaconf import OmegaConf

from segbench.errors import Stopped, UserError
from segbench.sweeps.job import Job
from segbench.sweeps.launcher import SweepLauncher
from segbench.sweeps.machine import worker
from segbench.sweeps.machine.gpus import VISIBLE, chosen_gpus, visible_gpus
from segbench.sweeps.machine.slot import Slot
from segbench.sweeps.monitor import Monitor
from segbench.system.signals import StopSignals

_LOOK_EVERY = 0.5
"""Seconds between looks at the runs."""


class LocalLauncher(SweepLauncher):
    """Several runs at a time on this machine.

    Each place for a run has a process of its own, which is started once and executes one run after the other. A
    process that dies takes only its run with it; a new one takes its place.

    Args:
        at_once: runs at a time; None: as many as the GPUs take, without GPUs cores / threads.
        runs_per_gpu: how many share a GPU.
        gpus: which: numbers among the visible ones, or names; None: all visible ones.
        threads: of PyTorch on the CPU, for each run; None: OMP_NUM_THREADS, else cores / runs at a time.
        retries: how often a run that failed or broke off is tried again.
    """

    work = staticmethod(worker.work)
    """The function that is called for each run, in its process."""

    def __init__(
        self,
        at_once: int | None = None,
        runs_per_gpu: int = 1,
        gpus: Sequence[int | str] | None = None,
        threads: int | None = None,
        retries: int = 1,
    ) -> None:
        super().__init__(retries)
        self.at_once = at_once
        self.runs_per_gpu = runs_per_gpu
        self.gpus = gpus
        self.threads = threads
        self._asked = 1
        self._environments: list[dict[str, str]] = []
        self._slots: list[Slot] = []

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuse runs of several processes, and GPUs that are not there."""
        super().check(jobs)
        # Also runs that are done: the share of the cores of one run stays the same.
        self._asked = max(self._asked, len(jobs))
        self.places()

    def places(self) -> list[dict[str, str]]:
        """The environment of each place for a run: its GPU, and its number of threads.

        Raises:
            UserError: where the GPUs asked for are not there, or cannot take as many runs.
        """
        # GPUs first: as long as there are places, no two runs share one.
        gpus = self._gpus() * self.runs_per_gpu
        threads = self.threads or _set_threads()
        if gpus and self.at_once is not None and self.at_once > len(gpus):
            raise UserError(
                f"hydra.launcher.at_once={self.at_once}: {len(gpus) // self.runs_per_gpu} GPUs take "
                f"{self.runs_per_gpu} each; set hydra.launcher.runs_per_gpu"
            )
        count = self.at_once or len(gpus) or max(1, cpu_count() // (threads or 1))
        count = min(count, self._asked)
        common = {worker.THREADS: str(threads or max(1, cpu_count() // count))}
        return [common | ({VISIBLE: gpus[number]} if gpus else {}) for number in range(count)]

    def execute(self, jobs: Sequence[Job]) -> None:
        """Execute the runs.

        Raises:
            Stopped: on a signal, when every run under way has written its checkpoint; on a second one at once.
        """
        waiting = deque(jobs)
        with StopSignals().listening() as signals:
            stop, places = self._ready()
            try:
                with Monitor(jobs) as monitor:
                    while any(place.job for place in places) or (waiting and not signals.received):
                        for place in places:
                            if waiting and place.job is None and not signals.received:
                                job = waiting.popleft()
                                place.begin(job, job.arguments(self.config))
                        monitor.update({job.path for job in waiting}, {place.job.path for place in places if place.job})
                        wait([place.future for place in places if place.job], _LOOK_EVERY, FIRST_COMPLETED)
                        if signals.received:
                            stop.touch()
                        for place in places:
                            place.look(stopping=bool(signals.received))
                    monitor.update({job.path for job in waiting}, ())
            except BaseException:
                self.close(at_once=True)
                raise
            if signals.received:
                self.close()
                raise Stopped(signals.received)

    def close(self, at_once: bool = False) -> None:
        """End the processes, which else wait for further runs until the command ends."""
        for place in self._slots:
            if at_once:
                place.kill()
            else:
                place.close()
        self._environments, self._slots = [], []

    def _ready(self) -> tuple[Path, list[Slot]]:
        """The file that stops all runs, and the places; with the processes of an earlier call, as a search makes many.

        A place has no process before it has its first run.
        """
        environments = self.places()
        if environments != self._environments:
            self.close()
            self._folder = tempfile.TemporaryDirectory(prefix="segbench-")
            self._slots = [Slot(environment, self._stop, self.work) for environment in environments]
            self._environments = environments
        return self._stop, self._slots

    @property
    def _stop(self) -> Path:
        return Path(self._folder.name, "stop")

    def _gpus(self) -> list[str]:
        if self.gpus is not None:
            return chosen_gpus(self.gpus)
        on_cpu = OmegaConf.select(self.config, "trainer.accelerator") == "cpu"
        return [] if on_cpu else visible_gpus()


def _set_threads() -> int | None:
    with suppress(ValueError):
        return int(os.environ.get(worker.THREADS, "").split(",")[0]) or None
    return None
