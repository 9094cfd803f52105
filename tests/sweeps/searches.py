"""Searches without training: a launcher that writes what a run would have left."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from segbench.commands.resolvers import register_resolvers
from segbench.config.composing import pinned
from segbench.config.paths import conf_folder
from segbench.sweeps.search.search import Search
from segbench.sweeps.sweeper import check_execution

Outcome = Callable[[DictConfig], dict[str, Any] | None]
"""From the configuration of a run to its run.json, None where it leaves nothing."""


class Launcher:
    """Takes every run as executed.

    Attributes:
        batches: the overrides of each launch, that of the search left out.
        paths: the run directories, in the order of the launches.
        numbers: the number of the first job of each launch.
    """

    def __init__(self, context: HydraContext, config: DictConfig, outcome: Outcome) -> None:
        self.context, self.config, self.outcome = context, config, outcome
        self.batches: list[list[list[str]]] = []
        self.paths: list[Path] = []
        self.numbers: list[int] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        self.batches.append([[one for one in job if not one.startswith("search=")] for job in job_overrides])
        self.numbers.append(initial_job_idx)
        for overrides in job_overrides:
            config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            path = Path(config.hydra.sweep.dir, config.hydra.sweep.subdir)
            assert path not in self.paths
            self.paths.append(path)
            record = self.outcome(config)
            if record is not None:
                path.mkdir(parents=True, exist_ok=True)
                (path / "run.json").write_text(json.dumps({"name": path.name} | record))
        return []

    @property
    def asked(self) -> list[list[str]]:
        """The overrides of all runs, in order."""
        return [job for batch in self.batches for job in batch]


@cache
def hydra_context() -> HydraContext:
    """Hydra's, whose files are read once for all tests."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return pinned(HydraContext(GlobalHydra.instance().hydra.config_loader, Callbacks()))


def search(folder: Path, outcome: Outcome, *overrides: str) -> Launcher:
    """Executes a search as the command would; returns its launcher."""
    context = hydra_context()
    of_hydra = [one for one in overrides if one.lstrip("+~").startswith("hydra")]
    typed = [one for one in overrides if one not in of_hydra]
    config = context.config_loader.load_configuration(
        "train", ["hydra/sweeper=optuna", f"hydra.sweep.dir={folder}", *of_hydra, *typed], RunMode.MULTIRUN
    )
    check_execution(config)  # as its setup does
    values = {key: value for key, value in config.hydra.sweeper.items() if not key.startswith("_")}
    one = Search(**values)
    launcher = Launcher(context, config, outcome)
    one.context, one.config, one.launcher = context, config, launcher
    one.sweep(typed)
    return launcher


def sweeper_values(*overrides: str) -> DictConfig:
    """The values of the sweeper."""
    config = hydra_context().config_loader.load_configuration(
        "train", ["hydra/sweeper=optuna", *overrides], RunMode.MULTIRUN
    )
    return config.hydra.sweeper


def finished(dice: float) -> dict[str, Any]:
    return {"status": "finished", "training": {"steps": 4, "best_score": dice}}
