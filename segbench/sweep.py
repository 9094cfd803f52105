"""What Hydra calls around a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class CompareAtEnd(Callback):
    """Ends a sweep with the comparison of its runs, in `comparison/` of the sweep's directory."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compares whatever runs the sweep's directory holds."""
        from segbench.compare.command import compare_sweep

        compare_sweep(Path(config.hydra.sweep.dir))
