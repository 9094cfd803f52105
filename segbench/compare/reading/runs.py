"""Run directories as the comparison reads them: which there are, what they say, and their scores."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segbench.config.history import essential
from segbench.errors import UserError, as_line
from segbench.runs.directory import CASE_COLUMNS, read_config, scored_again
from segbench.runs.discovery import RECORD

CASES = "cases.csv"
TEXT = ("dataset", "split", "case", "group", "class", "metric")
NUMBERS = ("value", "n_ref", "n_pred")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: its directory.
        record: what its run.json says.
        data_name: the name of its data set where another one has the recorded name too.
    """

    path: Path
    record: Mapping[str, Any] = field(hash=False)
    data_name: str | None = None

    @property
    def id(self) -> str:
        """Twelve hex digits, equal for runs of one configuration."""
        return str(self.record["id"])

    @property
    def name(self) -> str:
        """Readable name."""
        return str(self.record["name"])

    @property
    def dataset(self) -> str:
        """The data set that it was trained on."""
        return self.data_name or str(self.record["dataset"]["name"])

    @property
    def fingerprint(self) -> str:
        """The hash of its images and masks, empty where none is recorded."""
        return str(self.record["dataset"].get("fingerprint") or "")

    @property
    def takes_steps(self) -> bool:
        """False where nothing was learnt by optimizer steps, as thresholds are: loss and optimizer were not used."""
        return (self.record.get("training") or {}).get("steps") != 0

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, without what only the version of segbench makes different.

        Raises:
            UserError: if config.yaml cannot be read.
        """
        return essential(read_config(self.path))

    @property
    def wandb(self) -> Mapping[str, Any]:
        """The settings with which it was logged to W&B, empty where it was not."""
        return (self.config.get("logger") or {}).get("wandb") or {}

    @property
    def address(self) -> str | None:
        """The address of the run on W&B, None where that is not known or what is recorded is no web address."""
        address = str(self.record.get("wandb_url") or "")
        return address if address.startswith(("https://", "http://")) else None

    @property
    def tables(self) -> list[Path]:
        """The files of scores: of its test cases, then of each data set it never saw."""
        return [self.path / CASES, *sorted(self.path.glob("unseen/*.csv"))]


@dataclass(frozen=True)
class Unfinished:
    """A run that is not compared, and why."""

    path: Path
    reason: str


def read_runs(directories: Sequence[Path]) -> tuple[list[Run], list[Unfinished]]:
    """The finished runs, and the others with the reason.

    Raises:
        UserError: if a finished run lacks what it must have.
    """
    runs, unfinished = [], []
    for path in directories:
        try:
            record = json.loads((path / RECORD).read_text())
            status = record["status"]
        except (OSError, ValueError, TypeError, KeyError):
            unfinished.append(Unfinished(path, f"half-written: no complete {RECORD}"))
            continue
        if status == "finished":
            runs.append(_checked(Run(path, record)))
        else:
            reason = f": {record['error']}" if record.get("error") else ""
            unfinished.append(Unfinished(path, f"{status}{reason}"))
    return runs, unfinished


def _checked(run: Run) -> Run:
    for key in ("id", "name", "dataset", "choices", "seed", "fold", "budget", "metrics", "versions"):
        if key not in run.record:
            raise UserError(f"{run.path / RECORD}: '{key}' is missing; the run must be made again")
    return run


class _Encoder:
    """Numbers for the distinct texts of a column."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def encode(self, texts: Sequence[str]) -> list[int]:
        for text in dict.fromkeys(texts):
            self.numbers.setdefault(text, len(self.numbers))
        return list(map(self.numbers.__getitem__, texts))

    def categories(self, codes: Sequence[int]) -> pd.Categorical[str]:
        return pd.Categorical.from_codes(np.asarray(codes, dtype=np.int32).tolist(), categories=pd.Index(self.numbers))


def read_scores(runs: Sequence[Run], tables: Callable[[Run], Sequence[Path]] = lambda run: run.tables) -> pd.DataFrame:
    """All scores of all runs, one to a line.

    Args:
        runs: at least one.
        tables: the files of each.

    Returns:
        Columns run (number in `runs`), trained_on, seed, fold, and those of cases.csv; texts are
        categorical.

    Raises:
        UserError: if a table is missing, lacks a column, has a value of the wrong kind or a case twice.
    """
    encoders = {column: _Encoder() for column in TEXT}
    codes: dict[str, list[int]] = {column: [] for column in TEXT}
    numbers: dict[str, list[np.ndarray]] = {column: [] for column in NUMBERS}
    owner: list[np.ndarray] = []
    for number, run in enumerate(runs):
        for path in tables(run):
            columns = _read_table(path)
            _check_once(path, columns)
            if path.name == CASES:
                _check_cases(run, path, columns)
            if run.data_name is not None and path.parent.name != "unseen":
                columns["dataset"] = [run.data_name] * len(columns["dataset"])
            for column in TEXT:
                codes[column] += encoders[column].encode(columns[column])
            for column in NUMBERS:
                numbers[column].append(_parse(path, column, columns[column]))
            owner.append(np.full(len(columns["case"]), number, dtype=np.int32))
    run_number = np.concatenate(owner)
    frame = pd.DataFrame({"run": run_number})
    for column in TEXT:
        frame[column] = encoders[column].categories(codes[column])
    for column in NUMBERS:
        frame[column] = np.concatenate(numbers[column])
    frame["trained_on"] = pd.Categorical([run.dataset for run in runs]).take(run_number)
    for key in ("seed", "fold"):
        frame[key] = np.array([run.record[key] for run in runs])[run_number]
    return frame


def _read_table(path: Path) -> dict[str, Sequence[str]]:
    """The columns of a table of scores, as text."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            content = file.read()
        lines = list(csv.reader(io.StringIO(content, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({_reason(error)}); {scored_again(path)}") from error
    header = lines[0] if lines else []
    lacking = [column for column in CASE_COLUMNS if column not in header]
    if lacking:
        raise UserError(f"{path}: column '{lacking[0]}' is missing; {scored_again(path)}")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise UserError(f"{path}, line {number}: {len(line)} values instead of {len(header)}; {scored_again(path)}")
    if not content.endswith("\n"):
        raise UserError(f"{path}: its last line is cut off; {scored_again(path)}")
    if len(lines) < 2:
        raise UserError(f"{path}: has no scores; {scored_again(path)}")
    return dict(zip(header, zip(*lines[1:], strict=True), strict=True))


def _parse(path: Path, column: str, texts: Sequence[str]) -> np.ndarray:
    """Numbers, NaN where empty."""
    try:
        numbers = np.array(list(map(float, (text or "nan" for text in texts) if "" in texts else texts)))
    except ValueError:
        line, text = next((k, t) for k, t in enumerate(texts, start=2) if t and not _is_number(t))
        raise UserError(f"{path}, line {line}: {column} is '{text}', not a number; {scored_again(path)}") from None
    if np.isinf(numbers).any():
        line = int(np.flatnonzero(np.isinf(numbers))[0]) + 2
        raise UserError(f"{path}, line {line}: {column} is infinite; {scored_again(path)}")
    return numbers


def _check_once(path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    keys = list(zip(*(columns[column] for column in ("dataset", "split", "case", "class", "metric")), strict=True))
    if len(set(keys)) == len(keys):
        return
    seen: set[tuple[str, ...]] = set()
    for line, key in enumerate(keys, start=2):
        if key in seen:
            raise UserError(
                f"{path}, line {line}: {key[4]} of class '{key[3]}' in case '{key[2]}' is there twice;"
                f" {scored_again(path)}"
            )
        seen.add(key)


def _check_cases(run: Run, path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Check that a table has as many cases as were tested: cut off between two lines it has fewer."""
    found, tested = len(set(columns["case"])), (run.record["dataset"].get("cases") or {}).get("test", 0)
    if found < tested:
        raise UserError(f"{path}: has {found} of the {tested} test cases; {scored_again(path)}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return as_line(error)
