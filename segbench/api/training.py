"""Training from Python: the commands `segbench` and `segbench -m`, and the runs that they made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segbench.api.overrides import assigned
from segbench.api.runs import Run
from segbench.commands.execution import execute
from segbench.errors import UserError
from segbench.runs.discovery import find_runs


def train(overrides: Sequence[str] = (), folder: str | Path | None = None) -> Run:
    """Train and evaluate one configuration, or take it as it is if that is done.

    Args:
        overrides: as on the command line: `["model=unet", "loss=tversky", "trainer.max_steps=500"]`.
        folder: of the run; None: below `runs/`, named after the overrides.

    Raises:
        UserError: where the configuration, the data or the folder do not allow it.
    """
    if "-m" in overrides or "--multirun" in overrides:
        raise UserError("train makes one run; segbench.sweep(overrides, folder) makes several")
    place = [] if folder is None else [assigned("hydra.run.dir", folder)]
    (directory,) = execute("train", [*overrides, *place])
    return Run(directory.path)


def sweep(overrides: Sequence[str], folder: str | Path) -> list[Run]:
    """Train every combination of some values; the comparison of the runs is in `comparison/` of the folder.

    Args:
        overrides: as on the command line: `["model=unet,segnet", "seed=0,1"]`; the launcher too.
        folder: of the sweep. The same call continues a sweep that was stopped.

    Returns:
        The runs, in the order of their names.

    Raises:
        UserError: where a configuration, the data or the folder do not allow it, or a run has failed.
    """
    execute("train", [*overrides, assigned("hydra.sweep.dir", folder), "-m"])
    return [Run(path) for path in sorted(find_runs(str(folder)))]
