"""Scores made by any other tool: a plain table of classes and methods, or a long table of cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from segbench.errors import UserError, as_line

PLAIN = "dataset, class, then one column for each method"
BY_METHOD = "method, then one column for each metric"
LONG = "method, case, value; and where known dataset, split, class, metric, group, seed, fold, reference, n_ref, n_pred"
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
    "reference",
}
COUNTS = ("n_ref", "n_pred")


def read_score_table(path: Path, metrics: Sequence[str] = ()) -> pd.DataFrame:
    """A table of scores as `tabulate` reads it.

    A table with the columns method, case and value is long: a score to a line. One with the column class is plain: a
    class to a line, with its scores in one column for each method; `dataset` may be left out. One with the column
    method alone has a method to a line, with its score in one column for each metric (or data set).

    Args:
        path: a CSV file.
        metrics: the columns of a table of methods that are read, all others where it is empty; the first is what the
            scores of a plain table are called.

    Raises:
        UserError: if the file cannot be read, lacks a column, or holds no number where one must be.
    """
    table = read_table(path, "scores")
    if {"case", "value"} & set(table.columns):
        return _long(path, table)
    if "class" in table.columns:
        return _plain(path, table, metrics[0] if metrics else "score")
    if "method" in table.columns:
        return _by_method(path, table, metrics)
    raise UserError(
        f"scores={path}: neither 'class' nor 'method' is a column; expected are {PLAIN}, {BY_METHOD}, or {LONG}"
    )


def read_table(path: Path, key: str) -> pd.DataFrame:
    """A CSV file as texts.

    Args:
        path: the file.
        key: the option that names it, for messages.

    Raises:
        UserError: if the file cannot be read, or is empty.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise UserError(f"{key}={path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{key}={path}: cannot be read as CSV ({as_line(error)})") from error
    if table.empty:
        raise UserError(f"{key}={path}: has no lines" + (f"; expected are {PLAIN}, or {LONG}" * (key == "scores")))
    return table


def _long(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    for column in ("method", "case", "value"):
        if column not in table.columns:
            raise UserError(f"scores={path}: column '{column}' is missing; expected are {LONG}")
    kept = table[[c for c in table.columns if c in LONG_COLUMNS]].copy()
    for column in ("value", *COUNTS):
        if column in table.columns:
            kept[column] = numbers(path, table, column)
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
    of_method = {method: numbers(path, table, method) for method in methods}
    columns = {key: np.tile(table[key], len(methods)) for key in keys}
    values = np.concatenate(list(of_method.values())) if of_method else np.empty(0)
    long = pd.DataFrame({**columns, "method": np.repeat(methods, len(table)), "value": values})
    return long.assign(case="the only one", metric=metric)


def _by_method(path: Path, table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    chosen = list(metrics) or [column for column in table.columns if column != "method"]
    for metric in chosen:
        if metric not in table.columns:
            raise UserError(f"scores={path}: metric={metric} is not a column; there are {', '.join(table.columns)}")
    repeated = table.duplicated("method")
    if repeated.any():
        line = int(np.flatnonzero(repeated)[0])
        raise UserError(f"scores={path}, line {line + 2}: method '{table['method'].iloc[line]}' is there twice")
    parts = [
        pd.DataFrame({"method": table["method"], "metric": metric, "value": numbers(path, table, metric)})
        for metric in chosen
    ]
    return pd.concat(parts, ignore_index=True).assign(case="the only one")


def numbers(path: Path, table: pd.DataFrame, column: str, key: str = "scores") -> np.ndarray:
    """The numbers in a column of texts, NaN where it is empty, NaN or NA.

    Raises:
        UserError: naming the line of what is no number.
    """
    texts = table[column]
    values = pd.to_numeric(texts.where(texts != "", "nan"), errors="coerce").to_numpy(dtype=np.float64)
    wrong = (np.isnan(values) & ~texts.str.lower().isin(["", "nan", "na"]).to_numpy()) | np.isinf(values)
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise UserError(f"{key}={path}, line {line + 2}: {column} is '{texts.iloc[line]}', not a number")
    return values
