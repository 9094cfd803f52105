"""The command `train`: from Hydra's configuration to a finished run that is shown."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from segbench.commands.run_scores import show_run
from segbench.config import schema
from segbench.config.composing import PinnedLoader
from segbench.config.identity import default_name, run_id, run_name
from segbench.config.invocation import Invocation
from segbench.errors import UserError
from segbench.runs.data_check import check_still_same
from segbench.runs.directory import RunDirectory
from segbench.runs.stages import find_stages
from segbench.runs.sweep_record import RECORD as SWEEP
from segbench.system.processes import check_processes, find_launch, is_main_process, keep_quiet, refuse_ddp_in_sweep


def train(config: DictConfig) -> RunDirectory:
    """Train and evaluate one configuration, or show it if that is done; return its directory.

    Raises:
        UserError: where the configuration, the data or the run directory do not allow it.
    """
    keep_quiet()
    invocation = _invocation(config)
    directory = RunDirectory(invocation.path)
    try:
        check_experiment(config, invocation)
        schema.check(config)
        same = directory.record.get("id") == run_id(config)
        if same:
            check_still_same([directory], config.data)
        if not directory.done or not same:
            if HydraConfig.get().mode == RunMode.MULTIRUN and find_launch() is None:
                refuse_ddp_in_sweep(config)
            check_processes(config)
            find_stages(config.stages)
            # Only now is PyTorch imported: mistakes and finished runs are shown at once.
            from segbench.training.run import run

            directory = run(config, invocation)
    except Exception as error:
        if invocation.in_sweep:
            directory.record_failure(error)
        elif isinstance(error, UserError) and is_main_process():
            directory.discard_if_empty()
        raise
    if is_main_process():
        show_run(directory)
    return directory


def _invocation(config: DictConfig) -> Invocation:
    hydra = HydraConfig.get()
    overrides = list(hydra.overrides.task)
    choices = {
        group: option
        for group, option in hydra.runtime.choices.items()
        if option is not None and not group.startswith("hydra")
    }
    path = Path(hydra.runtime.output_dir)
    in_sweep = hydra.mode == RunMode.MULTIRUN or (path.parent / SWEEP).exists()
    of_sweep, dash, _ = path.name.rpartition(f"-{run_id(config)}") if in_sweep else ("", "", "")
    name = config.name or (of_sweep if dash else run_name(overrides, default_name(choices)))
    return Invocation(path, name, choices, overrides, in_sweep)


def check_experiment(config: DictConfig, invocation: Invocation) -> None:
    """Refuse keys in an experiment file that nothing reads: Hydra merges them without a word."""
    if "experiment" not in invocation.choices:
        return
    others = [f"{group}={option}" for group, option in invocation.choices.items() if group != "experiment"]
    of_hydra = HydraConfig.get().overrides.hydra if HydraConfig.initialized() else []
    # An option may also come from another folder.
    others += [override for override in of_hydra if override.startswith("hydra.searchpath=")]
    loader = _loader(GlobalHydra.instance().config_loader().get_search_path())
    reference = loader.load_configuration("train", others, RunMode.RUN)
    added = {override.lstrip("+").partition("=")[0] for override in invocation.overrides if override.startswith("+")}
    schema.check_keys(config, reference, added, f"experiment={invocation.choices['experiment']}")


@lru_cache(maxsize=1)
def _loader(search_path: ConfigSearchPath) -> PinnedLoader:
    """Compose without an experiment, for all runs of a sweep."""
    return PinnedLoader(search_path)
