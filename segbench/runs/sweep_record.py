"""The runs that a sweep asks for: `sweep.json` in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from segbench.system.atomic import write_atomically

RECORD = "sweep.json"


class Asked(Protocol):
    """A run that a sweep asks for."""

    @property
    def name(self) -> str:
        """The name of its directory."""

    @property
    def id(self) -> str:
        """The id of the run."""

    @property
    def overrides(self) -> Sequence[str]:
        """The overrides of its configuration."""


def add_asked(path: Path, experiment: str | None, jobs: Iterable[Asked]) -> None:
    """Record which runs are asked for, besides the runs asked for before."""
    record = read_asked(path)
    runs = record.get("runs", {}) | {job.name: {"id": job.id, "overrides": list(job.overrides)} for job in jobs}
    write_atomically(path / RECORD, json.dumps({"experiment": experiment, "runs": runs}, indent=1) + "\n")


def read_asked(path: Path) -> dict[str, Any]:
    """The content of a folder's `sweep.json`: `experiment`, and `runs` by their folder's name; empty without one."""
    try:
        record = json.loads((path / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return dict(record)
