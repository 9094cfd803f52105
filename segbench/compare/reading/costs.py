"""Costs of methods from elsewhere: a table of parameters and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from segbench.compare.reading.external import numbers, read_table
from segbench.compare.reading.naming import suggestion
from segbench.errors import UserError

COLUMNS: Mapping[str, tuple[str, float]] = {
    "parameters": ("parameters", 1.0),
    "parameters_millions": ("parameters", 1e6),
    "flops": ("flops", 1.0),
    "seconds": ("seconds_per_case", 1.0),
    "seconds_per_case": ("seconds_per_case", 1.0),
    "running_time_seconds": ("seconds_per_case", 1.0),
    "train_seconds": ("train_seconds", 1.0),
    "train_hours": ("train_seconds", 3600.0),
    "peak_memory_bytes": ("peak_memory_bytes", 1.0),
    "peak_memory_gb": ("peak_memory_bytes", 2.0**30),
}
"""Columns of the table, and the cost and unit that each is of."""


def read_costs(path: Path, methods: Sequence[str]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """The costs of each method that is compared, and a note of the columns that are no cost.

    Args:
        path: a CSV file with the column method and others of `COLUMNS`; or turned, a cost to a line.
        methods: those that are compared.

    Raises:
        UserError: if the file cannot be read, has no cost, names a method twice, or lacks one that is compared.
    """
    table = read_table(path, "costs")
    first = str(table.columns[0])
    if "method" not in table.columns:
        table = table.set_index(first).T.rename_axis("method").reset_index()
    given = table["method"].tolist()
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise UserError(f"costs={path}: method '{twice}' is there twice")
    for name in methods:
        if name not in given:
            raise UserError(f"costs={path}: no costs of '{name}'{suggestion(name, given)}")
    known = [str(column) for column in table.columns if column in COLUMNS]
    others = [str(column) for column in table.columns if column not in (*COLUMNS, "method")]
    if not known:
        raise UserError(f"costs={path}: no column is a cost; known are {', '.join(COLUMNS)}")
    found: dict[str, dict[str, float]] = {name: {} for name in methods}
    for column in known:
        cost, unit = COLUMNS[column]
        for name, value in zip(given, numbers(path, table, column, "costs"), strict=True):
            if name in found:
                found[name][cost] = unit * float(value)
    return found, [f"costs={path}: no cost is called {', '.join(others)}; left out"] if others else []
