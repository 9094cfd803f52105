"""Runs that are there more than once: in several folders, or with choices that they do not use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segbench.compare.reading.runs import CASES, Run
from segbench.errors import UserError


def without_copies(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Every run once, and a note of each copy that is left out: sweeps may share runs.

    Of copies the first is taken that was evaluated on the most data sets.

    Raises:
        UserError: where the scores of two runs of one id and data differ, so that it cannot be said which are meant.
    """
    alike: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        alike.setdefault((run.id, run.fingerprint), []).append(run)
    chosen, notes = [], []
    for copies in alike.values():
        taken = max(copies, key=lambda run: len(run.tables))  # the first of equals
        chosen.append(taken)
        for copy in copies:
            if copy is taken:
                continue
            for table in copy.tables:
                other = taken.path / table.relative_to(copy.path)
                if table.exists() and other.exists() and table.read_bytes() != other.read_bytes():
                    what = "scores" if table.name == CASES else f"scores on {table.stem}"
                    raise UserError(
                        f"the same run twice (id {copy.id}), and its {what} differ: {taken.path} and {copy.path};"
                        " leave one out"
                    )
            notes.append(f"taken once: {copy.path} is the same run as {taken.path}, with the same scores")
    return chosen, notes


def without_unused_choices(runs: Sequence[Run], names: Sequence[str]) -> tuple[list[Run], list[str], list[str]]:
    """One run of each method, data set, seed and fold, of methods that take no optimizer steps.

    Thresholds of a sweep over losses are the same with each of them.

    Args:
        runs: all of them.
        names: the method of each.

    Returns:
        The runs that are kept, their names, and a note on those that are left out.
    """
    taken: dict[tuple[Any, ...], Run] = {}
    kept, left_out = [], []
    for run, name in zip(runs, names, strict=True):
        first = taken.setdefault((name, run.dataset, run.record["seed"], run.record["fold"]), run)
        if first is run or run.takes_steps:
            kept.append((run, name))
        else:
            left_out.append(f"taken once: {run.path} differs from {first.path} in nothing that '{name}' uses")
    return [run for run, _ in kept], [name for _, name in kept], left_out
