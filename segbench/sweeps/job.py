"""A run of a sweep: what it is, and its execution in whichever process has been given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from segbench.runs.directory import RunDirectory

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
        data: the node `data` of its configuration, as far as it decides which images the run has.
    """

    overrides: tuple[str, ...]
    path: Path
    id: str
    name: str
    processes: int | None = 1
    nodes: int = 1
    modules: frozenset[str] = frozenset()
    data: Mapping[str, Any] | None = field(default=None, compare=False)

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
        return [*flags, *handed_on, *self.overrides, "hydra.mode=RUN", f"hydra.run.dir={quoted(str(self.path))}"]


def quoted(text: str) -> str:
    """A text as it is typed in an override, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def execute(arguments: Sequence[str]) -> int:
    """Train and evaluate one run in this process, as `segbench train` with these arguments would.

    Returns:
        The exit code: 0, 2 for what the user can mend, 1 for another error, 128 + n where signal n stopped it. What
        happened is in `run.json`.
    """
    import traceback

    from segbench.commands.execution import report

    try:
        return report("train", list(arguments))
    except Exception:
        traceback.print_exc()
        return 1
