"""The plain sweep: every combination of the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from segbench.sweeps.directory import SweepDirectory


class Grid(BasicSweeper):
    """Hydra's sweeper, with the sweep's folder locked. The launcher composes every run before it executes any."""

    def sweep(self, arguments: list[str]) -> Any:
        """Execute every combination."""
        assert self.config is not None
        folder, experiment = self.config.hydra.sweep.dir, self.config.hydra.runtime.choices.get("experiment")
        with SweepDirectory(Path(folder), experiment):
            return super().sweep(arguments)

    def validate_batch_is_legal(self, *args: Any) -> None:
        """Do nothing: the launcher checks."""
