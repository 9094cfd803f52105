"""Hydra's callback around a sweep: it gives the sweep a folder, and ends it with its comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, flag_override

from segbench.config.identity import check_name, run_name


class CompareAtEnd(Callback):
    """The comparison of a sweep's runs at its end, in `comparison/` of the sweep's directory."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Give the sweep the folder of its name, where none was chosen."""
        if config.hydra.sweep.dir:
            return
        folder = f"sweeps/{sweep_name(config)}"
        with flag_override(config, ["readonly", "struct"], False):
            config.hydra.sweep.dir = folder
            # Each run is composed anew from these, and in its own configuration the name would be another.
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={folder}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compare whatever runs the sweep's directory holds."""
        from segbench.commands.compare import compare_sweep
        from segbench.config.study import comparison_settings

        compare_sweep(Path(config.hydra.sweep.dir), comparison_settings(config))


def sweep_name(config: DictConfig) -> str:
    """A sweep's name: what is set, swept values joined by `+`; for a study first its name, data and budget.

    Args:
        config: the configuration that the sweep starts from, with `hydra`.
    """
    if config.get("name"):
        return check_name(str(config.name), "name")
    overrides = list(config.hydra.overrides.task)
    if config.get("budget") is None:
        return run_name(overrides, "sweep")
    choices = config.hydra.runtime.choices
    typed = dict(override.split("=", 1) for override in overrides if "=" in override)
    data = typed.get("data", choices.data).replace(",", "+")  # swept data sets are not among the choices
    others = [override for override in overrides if override.partition("=")[0] not in ("experiment", "data", "budget")]
    return "-".join(filter(None, [choices.experiment, data, config.budget, run_name(others, "")]))
