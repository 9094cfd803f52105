"""Weights & Biases."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loggers.logger import rank_zero_experiment  # type: ignore[attr-defined]
from lightning.pytorch.utilities import rank_zero_only

from segbench.errors import UserError, as_line
from segbench.loggers import wandb_access
from segbench.loggers.wandb_run import columns, identity, log_files, log_result, log_row
from segbench.runs.directory import RunDirectory

log = logging.getLogger(__name__)


class Wandb(Logger):
    """Curves, configuration, summary, previews, and `cases.csv` as an artifact.

    The id of the W&B run is kept in the run directory, so that a continued run continues the same W&B
    run. A step of W&B is an optimizer step; a step that the server has is not sent again. Nothing that
    happens to W&B or the network stops a run: what did not arrive is uploaded by `segbench publish`.

    Args:
        directory: the run directory.
        config: the resolved configuration.
        mode: "online", "offline" or "disabled"; the environment variable WANDB_MODE goes first.
        project: W&B project.
        entity: W&B team or user.
        group: runs that belong together, such as the runs of a sweep; by default the folder of the run.
        tags: of the run, besides its choices.
        system: whether the use of processors and memory is recorded.
        start_timeout: seconds to wait for W&B when a run begins, which goes on offline then.
        close_timeout: seconds to wait for the rest to be uploaded when a run ends; with the question whether the
            server is there, closing takes at most `start_timeout` + `close_timeout`.
    """

    def __init__(
        self,
        directory: RunDirectory,
        config: Mapping[str, Any],
        mode: str = "offline",
        project: str = "segbench",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        system: bool = False,
        start_timeout: float = 15.0,
        close_timeout: float = 60.0,
    ) -> None:
        super().__init__()
        self.directory = directory
        self.mode = wandb_access.mode_of(mode)
        self.start_timeout = start_timeout
        self.settings = wandb_access.quiet_settings(
            x_disable_stats=not system,
            init_timeout=start_timeout,
            finish_timeout=close_timeout,
            finish_timeout_raises=True,
        )
        self._arguments = {
            "project": project,
            "entity": entity,
            "dir": str(directory.path),
            **identity(directory.path, directory.record, group, tags),
            "config": columns(config, directory.record),
        }
        self._run: wandb.Run | None = None
        self._broken = False

    @property
    def name(self) -> str:
        """Not used: the run directory has a name."""
        return ""

    @property
    def version(self) -> str:
        """The id of the W&B run."""
        return str(self.directory.record["wandb_id"])

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, begun when it is first asked for; None where W&B fails altogether."""
        if self._run is None and not self._broken:
            self._run = self._begin()
        return self._run

    def _begin(self) -> wandb.Run | None:
        mode = self.mode
        try:
            if mode == "online" and not wandb_access.reachable(self.start_timeout):
                self._warn(f"cannot be reached within {self.start_timeout:g} s; this run is recorded offline")
                mode = "offline"
            return self._init(mode)
        except Exception as error:  # whatever W&B stumbles over, the run is trained
            if mode != "online":
                self._give_up(error)
                return None
            self._warn(f"does not begin this run, which is recorded offline ({as_line(error)})")
        try:
            wandb.teardown()  # its process takes the run for begun
            wandb_access.lost()
            return self._init("offline")
        except Exception as error:
            self._give_up(error)
            return None

    def _init(self, mode: str) -> wandb.Run:
        return wandb.init(**self._arguments, mode=mode, settings=self.settings)  # type: ignore[arg-type]

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration is sent when the run is begun."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send the values of one step. Lightning counts steps from 0; W&B gets the number of steps done."""
        values = {key: value for key, value in metrics.items() if key != "epoch"}
        self._safely(lambda run: log_row(run, (step or 0) + 1, values))

    def save(self) -> None:
        """Do nothing: W&B writes by itself."""

    @rank_zero_only
    def record_result(self, summary: Mapping[str, float]) -> None:
        """Send what a finished run has to show."""
        self._safely(lambda run: log_result(run, self.directory.path, self.directory.record, summary))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Do nothing: Lightning finalizes after training, before there are results; `close` ends the run."""

    @rank_zero_only
    def close(self, failed: bool) -> None:
        """End the W&B run, as failed or not."""
        run = self._run
        if run is None:
            return
        if self.directory.finished:
            online = not run.offline and not run.disabled
            if online:
                self.directory.update(wandb_url=run.url)  # before its record is sent
            if not online or self._is_there():  # wandb would wait long for a server that is not
                self._safely(lambda run: log_files(run, self.directory.path))
        try:
            run.finish(exit_code=1 if failed else 0)
        except TimeoutError:
            wandb_access.lost()
            self._warn(f"did not take the rest of this run within {self.settings.finish_timeout:g} s")
        except Exception as error:  # whatever W&B stumbles over, the run's own results are on disk
            self._give_up(error)
            with suppress(Exception):  # a process of W&B that is gone, such as by a signal to all of a job's processes,
                wandb.teardown()  # would else be missed once more, at the end of this process

    def _is_there(self) -> bool:
        try:
            return wandb_access.reachable_still(self.start_timeout)
        except UserError:  # the key is not taken any more
            return False

    def _safely(self, send: Callable[[wandb.Run], object]) -> None:
        """Send something to W&B, whose own process may have died; then nothing more is sent."""
        run = self.experiment
        if self._broken:
            return
        try:
            send(run)
        except Exception as error:  # whatever W&B stumbles over, training goes on
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._broken = True
        self._warn(f"records no more of this run ({as_line(error)})")

    def _warn(self, what: str) -> None:
        place = self.directory.path.absolute()
        log.warning("W&B %s; `segbench publish runs=%s` completes it there", what, place)
