"""Hydra's callback around a sweep: it gives the sweep a folder, and ends it with its comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override

from segbench.config.identity import check_name, run_name


class CompareAtEnd(Callback):
    """The comparison of a sweep's runs at its end, in `comparison/` of the sweep's directory."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Let names of runs begin with what is swept; give the sweep the folder of its name, where none was chosen."""
        raw = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        assert isinstance(raw, dict)
        subdir = str(raw["subdir"]).replace("${run_name:}", f"${{run_name:{','.join(swept_keys(config))}}}")
        with flag_override(config, ["readonly", "struct"], False):
            # Each run is composed anew from these, and in its own configuration the name would be another.
            config.hydra.sweep.subdir = subdir
            config.hydra.overrides.hydra.append(f"hydra.sweep.subdir='{subdir}'")
            if not config.hydra.sweep.dir:
                config.hydra.sweep.dir = folder = f"sweeps/{sweep_name(config)}"
                config.hydra.overrides.hydra.append(f"hydra.sweep.dir={folder}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Compare whatever runs the sweep's directory holds."""
        from segbench.commands.compare import compare_sweep
        from segbench.config.study import comparison_settings

        compare_sweep(Path(config.hydra.sweep.dir), comparison_settings(config))


def swept_keys(config: DictConfig) -> list[str]:
    """The keys of which a sweep has several values: of the command line as typed, then of its study.

    Args:
        config: the configuration that the sweep starts from, with `hydra`.
    """
    typed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    keys = [override.key_or_group for override in typed if override.is_sweep_override()]
    return list(dict.fromkeys([*keys, *map(str, config.hydra.sweeper.get("params") or {})]))


def sweep_name(config: DictConfig) -> str:
    """A sweep's name: what is swept, joined by `+`, then what is set; for a study first its name, data and budget.

    Args:
        config: the configuration that the sweep starts from, with `hydra`.
    """
    if config.get("name"):
        return check_name(str(config.name), "name")
    overrides = list(config.hydra.overrides.task)
    if config.get("budget") is None:
        return run_name(overrides, "sweep", swept_keys(config))
    choices = config.hydra.runtime.choices
    typed = dict(override.split("=", 1) for override in overrides if "=" in override)
    data = typed.get("data", choices.data).replace(",", "+")  # swept data sets are not among the choices
    others = [override for override in overrides if override.partition("=")[0] not in ("experiment", "data", "budget")]
    return "-".join(filter(None, [choices.experiment, data, config.budget, run_name(others, "", swept_keys(config))]))
