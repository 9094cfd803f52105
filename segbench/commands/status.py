"""The command `status`: what the runs of a sweep are doing, from their directories alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from omegaconf import DictConfig, ListConfig
from rich.console import Console
from rich.table import Table

from segbench.config.schema import require
from segbench.runs.discovery import find_runs
from segbench.runs.progress import Progress, State, duration, find_queued, read_progress, seconds_left, with_full_disks

STYLES: dict[State, str] = {
    "finished": "green", "pruned": "green", "running": "cyan", "queued": "default", "failed": "red",
    "interrupted": "yellow", "stopped": "yellow", "unreadable": "red",
}  # fmt: skip
"""In the order in which they are counted."""


def status(config: DictConfig) -> None:
    """Print what the runs below `runs` are doing.

    Raises:
        UserError: where there is no such folder, or no run in it.
    """
    value = require(config, "runs")
    places = [str(place) for place in value] if isinstance(value, ListConfig) else [str(value)]
    queued = find_queued(places)
    found = find_runs(places, may_be_none=bool(queued))
    show_status([*with_full_disks([*map(read_progress, found)]), *queued], Console(), every=bool(config.all))


def summary(states: Sequence[State], left: float | None) -> str:
    """The number of runs in each state, and the seconds that are left, in one line of rich's markup."""
    counts = Counter(states)
    parts = [f"[{style}]{counts[state]} {state}[/]" for state, style in STYLES.items() if counts[state]]
    remaining = f"; about {duration(left)} left" if left else ""
    return f"{len(states)} runs: {', '.join(parts)}{remaining}"


def show_status(runs: Sequence[Progress], console: Console, every: bool = False) -> None:
    """Print the counts, why queued runs wait, and a line for each run that is neither finished nor queued.

    Args:
        runs: what to show.
        console: where.
        every: whether all are listed.
    """
    console.print(summary([run.state for run in runs], seconds_left(runs)), highlight=False, soft_wrap=True)
    for reason, number in Counter(run.reason for run in runs if run.state == "queued" and run.reason).items():
        console.print(f"{number} wait: {reason}", highlight=False, soft_wrap=True, markup=False)
    listed = [run for run in runs if every or run.state not in ("finished", "pruned", "queued")]
    if not listed:
        return
    table = Table(header_style="bold")
    for heading in ("run", "state", "steps", "validation", "reason"):
        table.add_column(heading, justify="right" if heading in ("steps", "validation") else "left")
    for run in sorted(listed, key=lambda run: (list(STYLES).index(run.state), run.name)):
        steps = "" if run.max_steps is None else f"{run.step}/{run.max_steps}"
        state, reason = f"[{STYLES[run.state]}]{run.state}[/]", run.reason.replace("[", "\\[")
        table.add_row(run.name, state, steps, run.result, reason)
    console.print(table)
