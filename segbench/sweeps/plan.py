"""The runs that a sweep asks for: every combination, composed once, before any is executed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from segbench.config.composing import NotComposedError, referred_to
from segbench.config.identity import run_id
from segbench.config.schema import check_composed
from segbench.config.user_modules import named_modules
from segbench.errors import UserError
from segbench.runs.stage_ids import absolute
from segbench.sweeps.job import Job, quoted

_ENDING = re.compile(r"-[0-9a-f]{12}(-[0-9a-f]{6})?$")


def plan(context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> list[Job]:
    """The runs of a sweep, in the order in which they are asked for; a run asked for twice is there once.

    Args:
        context: Hydra's; composes configurations.
        config: what the sweep was started with.
        job_overrides: of each run.

    Raises:
        NotComposedError: where a combination cannot be composed.
        UserError: where one has an impossible value, or runs on different data would have one directory.
    """
    jobs: dict[Path, Job] = {}
    present = _present(Path(config.hydra.sweep.dir))
    for overrides in job_overrides:
        try:
            composed = context.config_loader.load_sweep_config(config, list(overrides))
        except HydraException as error:
            raise NotComposedError(str(error), overrides) from error
        with referred_to(composed):
            check_composed(composed, "train")
            sweep = composed.hydra.sweep
            path, run = Path(sweep.dir, sweep.subdir).absolute(), run_id(composed)
            path = path.with_name(present.get(_ending(path.name, run), path.name))
            devices: Any = OmegaConf.select(composed, "trainer.devices")
            job = Job(
                _with_absolute_stages(overrides, composed.stages), path, run, path.name,
                processes=devices if isinstance(devices, int) and devices > 0 else None,
                nodes=int(OmegaConf.select(composed, "trainer.num_nodes") or 1),
                modules=named_modules(composed),
                data=_data(composed),
            )  # fmt: skip
        if (other := jobs.setdefault(path, job)).data != job.data:
            raise UserError(
                f"the runs {' '.join(other.overrides)} and {' '.join(job.overrides)} are on different data and would"
                f" share the directory {path}: hydra.sweep.subdir must contain ${{data_mark:}}, or sweep data.root by"
                " itself"
            )
    return list(jobs.values())


def _with_absolute_stages(overrides: Sequence[str], stages: DictConfig | None) -> tuple[str, ...]:
    """The overrides of a run, whose stages are found from any folder: SLURM may start it in another."""
    places = absolute(stages)
    if places is None:
        return tuple(overrides)
    others = [override for override in overrides if not re.match(r"\+*stages[.=]", override)]
    nodes = [
        f"{name}:{{runs:[{','.join(map(quoted, stage['runs']))}],takes:{stage['takes']}}}"
        for name, stage in places.items()
    ]
    return (*others, f"stages={{{','.join(nodes)}}}")


def _present(folder: Path) -> dict[str, str]:
    """The run directories of a folder by the ends of their names: the name of a run depends on what else is swept."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return {match[0]: name for name in names if (match := _ENDING.search(name))}


def _ending(name: str, run: str) -> str:
    """The end of a directory's name from the id of its run on, empty where that is not in it."""
    return name[name.rindex(f"-{run}") :] if f"-{run}" in name else ""


def _data(config: DictConfig) -> dict[str, Any]:
    """The part of `data` that decides which images a run has and where they are decoded."""
    data = config.data
    return {
        "root": data.root,
        "cache": data.cache,
        "dataset": OmegaConf.to_container(data.dataset, resolve=True),
    }
