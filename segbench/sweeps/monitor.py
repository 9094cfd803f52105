"""The display of a sweep's runs while they are executed elsewhere: in other processes, or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from segbench.commands.status import STYLES, summary
from segbench.runs.progress import Progress, State, duration, read_progress, seconds_left
from segbench.sweeps.job import Job

_LINE_EVERY = 30.0
"""Seconds between lines that say how things stand, where there is no terminal."""

_ROWS = 20
"""Running runs that are listed at once."""


@dataclass(frozen=True)
class _Sight:
    """A run as it was last seen.

    Attributes:
        state: as shown.
        progress: what its directory says, None before it has begun.
        stamp: when its run.json was written, in ns.
    """

    state: State
    progress: Progress | None = None
    stamp: int | None = None


class Monitor:
    """A display of the runs' progress: live on a terminal, elsewhere a line for each end and now and then a summary.

    All it shows of a run is read from its directory. A finished run is read once, so that looking at a thousand runs
    takes as long as looking at the running ones. A context manager: the display ends with it.

    Args:
        jobs: the runs.
        console: where to show them; default: standard output.
    """

    def __init__(self, jobs: Sequence[Job], console: Console | None = None) -> None:
        self.jobs = jobs
        self.console = console or Console()
        self._seen: dict[Path, _Sight] = {}
        self._live: Live | None = None
        self._last_line = time.monotonic()
        self._new = True
        parts = [job.name.split("-")[:-1] for job in jobs] if len(jobs) > 1 else []
        shared = list(takewhile(lambda these: len(set(these)) == 1, zip(*parts, strict=False)))
        self._shared = sum(len(these[0]) + 1 for these in shared)
        """Characters that all names begin with: a table has no room for them."""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self.console.print(self.summary(), soft_wrap=True, highlight=False)

    def update(
        self,
        queued: Collection[Path] | None = None,
        running: Collection[Path] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Look at the runs, and show what has changed.

        Args:
            queued: run directories that wait for their turn, where that is known; what an earlier attempt has left
                in them does not count.
            running: the runs that are being executed, where that is known. What is in neither has come to an end.
            notes: lines below the counts, such as why runs wait.
        """
        before = self._seen
        queued = None if queued is None else frozenset(queued)
        running = None if running is None else frozenset(running)
        self._seen = {job.path: self._look(job.path, queued, running) for job in self.jobs}
        if not self._new:  # what had ended before is no news
            self._tell_ends(before)
        self._new = False
        if self._live is not None:
            self._live.update(self._picture(notes), refresh=True)
        elif time.monotonic() - self._last_line >= _LINE_EVERY:
            self._last_line = time.monotonic()
            self.console.print("\n".join([self.summary(), *map(escape, notes)]), soft_wrap=True, highlight=False)

    def summary(self) -> str:
        """The counts and the remaining time, in one line of rich's markup."""
        sights = self._seen.values()
        return summary([sight.state for sight in sights], seconds_left([_for_estimate(sight) for sight in sights]))

    def _look(self, path: Path, queued: frozenset[Path] | None, running: frozenset[Path] | None) -> _Sight:
        """Look at one run; read its directory only where something can have changed there."""
        last = self._seen.get(path)
        if last is not None and last.state in ("finished", "pruned"):
            return last
        if queued is not None and path in queued:
            return _Sight("queued", last.progress if last else None)
        executed = running is not None and path in running
        stamp = _written(path / "run.json")
        if last is not None and not executed and last.state in ("failed", "interrupted") and last.stamp == stamp:
            return last
        progress = None if stamp is None else read_progress(path)
        if progress is not None and progress.state in ("finished", "pruned"):
            return _Sight(progress.state, progress)
        if executed:
            return _Sight("running", progress)
        if progress is None or progress.state == "unreadable":
            known = queued is not None and running is not None  # then it has come to an end, and before it had begun
            return _Sight("stopped" if known else "queued")
        return _Sight(progress.state, progress, stamp)

    def _tell_ends(self, before: dict[Path, _Sight]) -> None:
        """A line for each run that has come to an end since the last look."""
        for job in self.jobs:
            sight = self._seen[job.path]
            last = before.get(job.path)
            if sight.state in ("queued", "running") or (last is not None and last.state == sight.state):
                continue
            text = f"[{STYLES[sight.state]}]{sight.state}[/] {escape(job.name)}{_result(sight)}"
            self.console.print(text, soft_wrap=True, highlight=False)

    def _picture(self, notes: Sequence[str]) -> RenderableType:
        """The summary, and below it the notes and the runs that are running."""
        running = [(job, self._seen[job.path]) for job in self.jobs if self._seen[job.path].state == "running"]
        rows = max(1, min(_ROWS, self.console.height - 6))
        table = Table(header_style="bold")
        table.add_column("running", overflow="ellipsis")
        for heading in ("steps", "validation", "time"):
            table.add_column(heading, justify="right", no_wrap=True)
        for job, sight in running[:rows]:
            table.add_row(Text(job.name[self._shared :]), *_columns(sight.progress))
        if len(running) > rows:
            table.add_row(f"and {len(running) - rows} more", "", "", "")
        return Group(Text.from_markup(self.summary()), *map(Text, notes), *([table] if running else []))


def _written(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _columns(progress: Progress | None) -> Iterable[str]:
    if progress is None:
        return "starts", "", ""
    steps = f"{progress.step}/{progress.max_steps}" if progress.max_steps else str(progress.step)
    return steps, progress.result, "" if progress.seconds is None else duration(progress.seconds)


def _result(sight: _Sight) -> str:
    """The result of a run that has ended."""
    progress = sight.progress
    if sight.state in ("finished", "pruned") and progress is not None:
        result = f": validation {progress.result}" if progress.result else ""
        return f"{result}{'' if progress.seconds is None else f', {duration(progress.seconds)}'}"
    if progress is not None and progress.reason:
        return f": {escape(progress.reason)}"
    return f" at step {progress.step}" if progress is not None else " before it had begun"


def _for_estimate(sight: _Sight) -> Progress:
    """A run as the estimate of the remaining time takes it: what is queued counts, what broke off does not."""
    state: State = sight.state if sight.state in ("finished", "running", "queued") else "failed"
    return Progress(Path(), "", state) if sight.progress is None else replace(sight.progress, state=state)
