"""The plain sweep: every combination of the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from segbench.sweeps.directory import SweepDirectory
from segbench.sweeps.sweeper import check_execution


class Grid(BasicSweeper):
    """Hydra's sweeper, with the sweep's folder locked. The launcher composes every run before it executes any.

    Args:
        then: values that are swept afterwards, when the runs of the first are done: these may be stages of the second.
            A list of them is swept one after the other.
        settings: those of Hydra's sweeper.
    """

    def __init__(self, then: Mapping[str, str] | Sequence[Mapping[str, str]] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.then = [then] if isinstance(then, Mapping) else list(then or [])

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra gives before the sweep.

        Raises:
            UserError: where a value of the sweeper or of the launcher is impossible.
        """
        check_execution(config)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Execute every combination, of the first values and of those that come then."""
        assert self.config is not None
        folder, experiment = self.config.hydra.sweep.dir, self.config.hydra.runtime.choices.get("experiment")
        with SweepDirectory(Path(folder), experiment):
            results = super().sweep(arguments)
            for values in self.then:
                self.params, self.batch_index = dict(values), 0
                results += super().sweep(arguments)
            return results

    def validate_batch_is_legal(self, *args: Any) -> None:
        """Do nothing: the launcher checks."""
