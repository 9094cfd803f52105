"""The runs that a sweep asks for: every combination, composed once, before any is executed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from segbench.config.composing import NotComposedError
from segbench.config.identity import run_id
from segbench.config.user_modules import named_modules
from segbench.sweeps.job import Job


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
                modules=named_modules(composed),
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
