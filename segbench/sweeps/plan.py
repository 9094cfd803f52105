"""The runs that a sweep asks for: every combination, composed once, before any is executed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from segbench.config.composing import NotComposedError
from segbench.config.identity import run_id
from segbench.runs.directory import RunDirectory
from segbench.sweeps.own_code import own_modules

NOT_HANDED_ON = ("hydra/launcher", "hydra/sweeper", "hydra.launcher", "hydra.sweeper", "hydra.sweep", "hydra.mode",
                 "hydra.run.dir")  # fmt: skip
"""Hydra's own settings that are meant for the sweep, and not for its runs."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        overrides: what is set for it, fixed and swept.
        path: its run directory, absolute.
        id: of the run.
        name: of its directory.
        processes: how many it takes on each node (`trainer.devices`), None where that is found out there.
        nodes: how many nodes it takes.
        modules: of the user's own that its configuration names.
    """

    overrides: tuple[str, ...]
    path: Path
    id: str
    name: str
    processes: int | None = 1
    nodes: int = 1
    modules: frozenset[str] = frozenset()

    @property
    def done(self) -> bool:
        """True if there is nothing left to do."""
        directory = RunDirectory(self.path)
        return directory.done and directory.record["id"] == self.id

    def arguments(self, config: DictConfig) -> list[str]:
        """The command line that executes this run alone.

        Args:
            config: what the sweep was started with, with `hydra`.
        """
        handed_on = [
            override for override in config.hydra.overrides.hydra if not override.lstrip("+~").startswith(NOT_HANDED_ON)
        ]
        folders = [source.path for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
        flags = [f"--config-dir={folder}" for folder in folders]
        place = str(self.path).replace("\\", "\\\\").replace("'", "\\'")
        return [*flags, *handed_on, *self.overrides, "hydra.mode=RUN", f"hydra.run.dir='{place}'"]


def plan(context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]]) -> list[Job]:
    """The runs of a sweep, in the order in which they are asked for; a run asked for twice is there once.

    Args:
        context: Hydra's; composes configurations.
        config: what the sweep was started with.
        job_overrides: of each run.

    Raises:
        NotComposedError: where a combination cannot be composed.
    """
    jobs = {}
    for overrides in job_overrides:
        try:
            composed = context.config_loader.load_sweep_config(config, list(overrides))
        except HydraException as error:
            raise NotComposedError(str(error), overrides) from error
        with _referred_to(composed):
            sweep = composed.hydra.sweep
            path = Path(sweep.dir, sweep.subdir).absolute()
            devices: Any = OmegaConf.select(composed, "trainer.devices")
            jobs[path] = Job(
                tuple(overrides), path, run_id(composed), path.name,
                processes=devices if isinstance(devices, int) and devices > 0 else None,
                nodes=int(OmegaConf.select(composed, "trainer.num_nodes") or 1),
                modules=own_modules(composed),
            )  # fmt: skip
    return list(jobs.values())


@contextmanager
def _referred_to(config: DictConfig) -> Iterator[None]:
    """Make `${hydra:...}` refer to this configuration, as it does while its run is executed."""
    known: Any = HydraConfig.instance()
    before, known.cfg = known.cfg, config
    try:
        yield
    finally:
        known.cfg = before
