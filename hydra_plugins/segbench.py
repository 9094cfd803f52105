"""Hydra's plugins: launchers, sweepers, and further folders of configuration.

Every command imports this file, so it imports nothing: each class makes the one it stands for when a sweep starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from segbench.config.paths import conf_folder


class LocalConfiguration(SearchPathPlugin):
    """The untracked folder `conf/local`, laid out as conf/: a user's clusters, data sets, models."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folder, where it is there; where segbench is installed, that of the current folder."""
        main = [element.path for element in search_path.get_path() if element.provider == "main"]
        if str(conf_folder()) not in [str(path).removeprefix("file://") for path in main]:
            return  # another program of the same environment
        for folder in dict.fromkeys((conf_folder() / "local", Path.cwd() / "conf" / "local")):
            if folder.is_dir():
                search_path.append("conf/local", f"file://{folder}")


class _Stand:
    """A stand-in for the class `target`, which is made from the same values."""

    target: ClassVar[str]

    def __init__(self, **values: Any) -> None:
        self.values = values

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        module, _, name = self.target.rpartition(".")
        self.actual = getattr(import_module(module), name)(**self.values)
        self.actual.setup(hydra_context=hydra_context, task_function=task_function, config=config)


class Basic(_Stand, Launcher):
    """hydra/launcher=basic."""

    target = "segbench.sweeps.machine.in_process.InProcess"

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Execute runs."""
        return self.actual.launch(job_overrides, initial_job_idx)


class Local(Basic):
    """hydra/launcher=local."""

    target = "segbench.sweeps.machine.local.LocalLauncher"


class Slurm(Basic):
    """hydra/launcher=slurm."""

    target = "segbench.sweeps.cluster.slurm.SlurmLauncher"


class Grid(_Stand, Sweeper):
    """hydra/sweeper=grid."""

    target = "segbench.sweeps.grid.Grid"

    def sweep(self, arguments: list[str]) -> Any:
        """Execute the sweep."""
        return self.actual.sweep(arguments)


class Optuna(Grid):
    """hydra/sweeper=optuna."""

    target = "segbench.sweeps.search.search.Search"


class Race(Grid):
    """hydra/sweeper=race."""

    target = "segbench.sweeps.race.race.Race"
