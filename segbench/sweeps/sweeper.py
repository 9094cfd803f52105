"""The common part of the sweepers, above all of those that decide from results which runs to ask for next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from segbench.config.composing import pinned
from segbench.config.values import check_values
from segbench.sweeps.directory import SweepDirectory


def check_execution(config: DictConfig) -> None:
    """Check the values of the sweeper and of the launcher, before either does anything.

    Raises:
        UserError: naming the first that is impossible.
    """
    for name in ("sweeper", "launcher"):
        check_values(config.hydra[name], f"hydra.{name}", f"hydra.{name}.")


class AdaptiveSweeper:
    """A Hydra sweeper that hands runs to its launcher in several rounds.

    Args:
        params: what a study sweeps or fixes; an override on the command line wins.
    """

    context: HydraContext
    config: DictConfig
    launcher: Launcher

    def __init__(self, params: Mapping[str, Any] | None) -> None:
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives before the sweep.

        Raises:
            UserError: where a value of the sweeper or of the launcher is impossible.
        """
        check_execution(config)
        self.context, self.config = pinned(hydra_context), config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return Path(self.config.hydra.sweep.dir).absolute()

    def overrides(self, arguments: Sequence[str]) -> list[str]:
        """The overrides of the study, then those that were typed."""
        return [f"{key}={value}" for key, value in self.params.items()] + list(arguments)

    def directory(self) -> SweepDirectory:
        """The folder of the sweep, to be locked while it is executed."""
        return SweepDirectory(self.folder, self.config.hydra.runtime.choices.get("experiment"))
