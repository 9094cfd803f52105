"""Subgroups of the test cases: a column of a table, such as site, scanner or size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.compare.statistics.scores import Scores
from segbench.compare.statistics.subgroups import Subgroups
from segbench.errors import UserError, as_line

MOST = 6
"""More different numbers than this are divided into parts of equally many cases."""
PARTS = 3
LISTED = 3


def read_subgroups(asked: Sequence[str], sets: Sequence[Scores]) -> list[Subgroups]:
    """The subgroups of each data set that the tables know.

    Args:
        asked: FILE.csv:COLUMN each. The file has the columns `case` and COLUMN, and `dataset` where several data sets
            have cases of one name. Of numbers, more than six different ones are divided into thirds of the cases.
        sets: the scores.

    Raises:
        UserError: where a table cannot be read, lacks a column or a case, or all cases are in one subgroup.
    """
    found = []
    for text in asked:
        table, column = _read(text)
        known = 0
        for scores in sets:
            values = _values(table, column, scores)
            lacking = [case for case in scores.cases if case not in values]
            if len(lacking) == len(scores.cases):
                continue
            known += 1
            if lacking:
                more = f" and {len(lacking) - LISTED} more" if len(lacking) > LISTED else ""
                raise UserError(
                    f"subgroups={text}: has no line for {', '.join(lacking[:LISTED])}{more} of {scores.name}"
                )
            found.append(_divided(text, column, scores, [values[case] for case in scores.cases]))
        if not known:
            raise UserError(f"subgroups={text}: no test case is in it; column 'case' must have ids such as"
                            f" {', '.join(sets[0].cases[:LISTED])}")  # fmt: skip
    return found


def _read(text: str) -> tuple[pd.DataFrame, str]:
    name, _, column = text.rpartition(":")
    if not name or not column:
        raise UserError(f"subgroups={text}: must be FILE.csv:COLUMN")
    try:
        table = pd.read_csv(Path(name).expanduser(), dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise UserError(f"subgroups={text}: there is no file {name}") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"subgroups={text}: cannot be read as CSV ({as_line(error)})") from error
    for needed in ("case", column):
        if needed not in table.columns:
            raise UserError(f"subgroups={text}: there is no column '{needed}'; there are {', '.join(table.columns)}")
    return table, column


def _values(table: pd.DataFrame, column: str, scores: Scores) -> dict[str, str]:
    """The entry of each case of a data set; none for one whose entry is empty."""
    if "dataset" in table.columns:
        table = table[table["dataset"] == scores.dataset]
    known = table[table[column] != ""]
    return dict(zip(known["case"], known[column], strict=True))


def _divided(text: str, column: str, scores: Scores, values: Sequence[str]) -> Subgroups:
    numbers = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=np.float64)
    if np.isfinite(numbers).all() and len(np.unique(numbers)) > MOST:
        names, members = _thirds(numbers)
    else:
        members, distinct = pd.factorize(pd.Series(values), sort=True)
        names = tuple(map(str, distinct))
    if len(names) < 2:
        raise UserError(f"subgroups={text}: all cases of {scores.name} have the same {column}, {names[0]}")
    return Subgroups(column, scores.name, names, np.asarray(members, dtype=np.intp))


def _thirds(numbers: np.ndarray) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Parts of equally many cases, named by their limits."""
    cuts = np.unique(np.quantile(numbers, np.arange(1, PARTS) / PARTS))
    members = np.searchsorted(cuts, numbers, side="left")
    _, members = np.unique(members, return_inverse=True)
    ends = [(numbers[members == k].min(), numbers[members == k].max()) for k in range(int(members.max()) + 1)]
    return tuple(f"{low:.4g} to {high:.4g}" for low, high in ends), members
