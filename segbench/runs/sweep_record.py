"""The runs that a sweep asks for, `sweep.json` in its folder, and why those wait that do: `waiting.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from segbench.errors import UserError
from segbench.runs.directory import now
from segbench.system.atomic import write_atomically

RECORD = "sweep.json"

WAITING = "waiting.json"


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


def write_waiting(path: Path, reasons: Mapping[str, str]) -> None:
    """Record why runs wait, by their names: what only the watching command learns, for all who look."""
    names: dict[str, list[str]] = {}
    for name, text in reasons.items():
        names.setdefault(text, []).append(name)
    with suppress(OSError, UserError):  # a full disk does not end the watching
        if names:
            write_atomically(path / WAITING, json.dumps({"time": now(), "reasons": names}, indent=1) + "\n")
        else:
            (path / WAITING).unlink(missing_ok=True)


def read_waiting(path: Path) -> tuple[dict[str, str], str]:
    """The reasons by the names of the runs, and when they were recorded."""
    try:
        record = json.loads((path / WAITING).read_text())
        return {name: text for text, names in record["reasons"].items() for name in names}, str(record["time"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, ""
