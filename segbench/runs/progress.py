"""The progress of runs, read from their directories alone."""

from __future__ import annotations

import glob
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from segbench.runs.criterion import Criterion, best_score
from segbench.runs.directory import now
from segbench.runs.sweep_record import RECORD as SWEEP
from segbench.runs.sweep_record import read_asked, read_waiting
from segbench.system.disk import lack_of_space
from segbench.system.lock import is_held

State = Literal["finished", "pruned", "running", "queued", "interrupted", "stopped", "failed", "unreadable"]

_TAIL = 4096
"""Bytes at the end of metrics.csv that are read: a few lines."""


@dataclass(frozen=True)
class Progress:
    """The progress of one run.

    Attributes:
        path: its directory.
        name: its readable name.
        state: as recorded; "stopped" where it is recorded as running and no process holds its lock,
            as after SIGKILL or a node that went down; "queued" where its sweep asks for it and it has not begun.
        step: optimizer steps whose results are on disk.
        max_steps: optimizer steps asked for, None if unknown.
        score: the best validation score known, None before the first validation.
        criterion: the meaning of the score.
        seconds: from its first start to its end, or to its last sign of life.
        reason: why it failed or waits, else empty.
    """

    path: Path
    name: str
    state: State
    step: int = 0
    max_steps: int | None = None
    score: float | None = None
    criterion: Criterion = field(default_factory=Criterion)
    seconds: float | None = None
    reason: str = ""

    @property
    def result(self) -> str:
        """The score with its name, empty before there is one."""
        return "" if self.score is None else f"{self.criterion.label} {self.score:.3f}"

    @property
    def share(self) -> float:
        """The share of the training that is done, 0 to 1."""
        return min(1.0, self.step / self.max_steps) if self.max_steps else 0.0


def find_queued(places: Sequence[str]) -> list[Progress]:
    """The runs that sweeps ask for and that have not begun; a place is a sweep, a folder of sweeps, or a glob."""
    folders = [Path(match) for place in places for match in sorted(glob.glob(os.path.expanduser(place)))]
    sweeps = [path.parent for folder in folders for path in (folder / SWEEP, *sorted(folder.glob(f"*/{SWEEP}")))]
    found = []
    for sweep in dict.fromkeys(sweeps):
        reasons, when = read_waiting(sweep)
        ago = f" ({duration(_seconds(when, None) or 0)} ago)" if when else ""
        found += [
            Progress(sweep / name, name, "queued", reason=f"{reasons[name]}{ago}" if name in reasons else "")
            for name in read_asked(sweep).get("runs", {})
            if not (sweep / name / "run.json").exists()
        ]
    return found


def read_progress(path: Path) -> Progress:
    """The progress of the run in a directory; never fails on what a crash may have left there."""
    try:
        record: dict[str, Any] = json.loads((path / "run.json").read_text())
        state: State = record["status"]
    except (OSError, ValueError, KeyError, TypeError):
        return Progress(path, path.name, "unreadable", reason="run.json is not there or not complete")
    if state == "running" and not is_held(path / ".lock"):
        state = "stopped"
    training = record.get("training") or {}
    criterion = Criterion.of(record)
    step, score, written = _last_curve(path / "metrics.csv", criterion)
    recorded = best_score(record)
    ended = record.get("finished") or written
    return Progress(
        path,
        name=str(record.get("name", path.name)),
        state=state,
        step=int(training.get("steps", step)),
        max_steps=(record.get("budget") or {}).get("max_steps"),
        score=score if recorded is None else recorded,
        criterion=criterion,
        seconds=_seconds(record.get("started"), ended),
        reason=str(record.get("error") or "") if state in ("failed", "interrupted") else "",
    )


def with_full_disks(runs: Sequence[Progress]) -> list[Progress]:
    """The same runs; those that could not write how they ended, since their disk is full, with that as the reason."""
    lacking: dict[int, str | None] = {}
    told = []
    for run in runs:
        lack = None
        if run.state in ("stopped", "unreadable"):
            device = run.path.stat().st_dev
            lack = lacking[device] if device in lacking else lacking.setdefault(device, lack_of_space(run.path))
        told.append(run if lack is None else replace(run, reason=f"nothing can be written to its folder: {lack}"))
    return told


def seconds_left(runs: Sequence[Progress]) -> float | None:
    """An estimate for all runs that are not finished, as many at a time as are running now (at least one).

    Every run is taken to last as long as the median of the finished ones; before there are any, of what the
    training of the running ones will take at their pace; None without either.
    """
    known = [run.seconds for run in runs if run.state == "finished" and run.seconds is not None]
    known = known or [run.seconds / run.share for run in runs if run.state == "running" and run.seconds and run.share]
    if not known:
        return None
    left = sum(1 - run.share for run in runs if run.state not in ("finished", "pruned", "failed"))
    at_once = max(1, sum(run.state == "running" for run in runs))
    return statistics.median(known) * left / at_once


def _last_curve(path: Path, criterion: Criterion) -> tuple[int, float | None, str | None]:
    """The last step of metrics.csv, the best validation score in its last lines, and when it was written."""
    try:
        with path.open("rb") as file:
            header = file.readline().decode().strip().split(",")
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
            written = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime).astimezone()
        rows = [
            dict(zip(header, line.split(","), strict=True)) for line in lines[1:] if line.count(",") == len(header) - 1
        ]
        key = f"validation/{criterion.key}"
        scores = [float(row[key]) for row in rows if row.get(key)]
        return int(float(rows[-1]["step"])), criterion.best(scores), written.isoformat()
    except (OSError, ValueError, KeyError, IndexError):
        return 0, None, None


def _seconds(start: str | None, end: str | None) -> float | None:
    if start is None:
        return None
    return (datetime.fromisoformat(end or now()) - datetime.fromisoformat(start)).total_seconds()


def duration(seconds: float) -> str:
    """A time in words: seconds, minutes, or hours and minutes."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
