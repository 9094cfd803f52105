"""Scores made by any other tool: a plain table of classes and methods, or a long table of cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from segbench.errors import UserError, as_line

PLAIN = "dataset, class, then one column for each method"
LONG = "method, case, value; and where known dataset, split, class, metric, group, seed, fold, n_ref, n_pred"
LONG_COLUMNS = {
    "method",
    "case",
    "value",
    "dataset",
    "trained_on",
    "split",
    "class",
    "metric",
    "group",
    "seed",
    "fold",
}
COUNTS = ("n_ref", "n_pred")


def read_score_table(path: Path, metric: str = "score") -> pd.DataFrame:
    """A table of scores as `tabulate` reads it.

    A table with the columns method, case and value is long: a score to a line. Any other is plain: a
    class to a line, with its scores in one column for each method; `dataset` may be left out.

    Args:
        path: a CSV file.
        metric: what the scores of a plain table are called.

    Raises:
        UserError: if the file cannot be read, lacks a column, or holds no number where one must be.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise UserError(f"scores={path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"scores={path}: cannot be read as CSV ({as_line(error)})") from error
    if table.empty:
        raise UserError(f"scores={path}: has no lines; expected are {PLAIN}, or {LONG}")
    if {"method", "case", "value"} & set(table.columns):
        return _long(path, table)
    if "class" in table.columns:
        return _plain(path, table, metric)
    raise UserError(f"scores={path}: neither 'class' nor 'method' is a column; expected are {PLAIN}, or {LONG}")


def _long(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    for column in ("method", "case", "value"):
        if column not in table.columns:
            raise UserError(f"scores={path}: column '{column}' is missing; expected are {LONG}")
    kept = table[[c for c in table.columns if c in LONG_COLUMNS]].copy()
    for column in ("value", *COUNTS):
        if column in table.columns:
            kept[column] = _numbers(path, table, column)
    keys = [c for c in kept.columns if c not in ("value", "group", *COUNTS)]
    repeated = kept.duplicated(keys)
    if repeated.any():
        line = int(np.flatnonzero(repeated)[0])
        where = ", ".join(f"{key} '{kept[key].iloc[line]}'" for key in keys)
        raise UserError(f"scores={path}, line {line + 2}: {where} is there twice")
    return kept


def _plain(path: Path, table: pd.DataFrame, metric: str) -> pd.DataFrame:
    keys = [c for c in ("dataset", "class") if c in table.columns]
    methods = [c for c in table.columns if c not in keys]
    repeated = table.duplicated(keys)
    if repeated.any():
        line = int(np.flatnonzero(repeated)[0])
        raise UserError(f"scores={path}, line {line + 2}: class '{table['class'].iloc[line]}' is there twice")
    numbers = {method: _numbers(path, table, method) for method in methods}
    columns = {key: np.tile(table[key], len(methods)) for key in keys}
    values = np.concatenate(list(numbers.values())) if numbers else np.empty(0)
    long = pd.DataFrame({**columns, "method": np.repeat(methods, len(table)), "value": values})
    return long.assign(case="the only one", metric=metric)


def _numbers(path: Path, table: pd.DataFrame, column: str) -> np.ndarray:
    texts = table[column]
    numbers = pd.to_numeric(texts.where(texts != "", "nan"), errors="coerce").to_numpy(dtype=np.float64)
    wrong = (np.isnan(numbers) & ~texts.str.lower().isin(["", "nan", "na"]).to_numpy()) | np.isinf(numbers)
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise UserError(f"scores={path}, line {line + 2}: {column} is '{texts.iloc[line]}', not a number")
    return numbers
