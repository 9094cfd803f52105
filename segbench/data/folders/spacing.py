"""Size of the pixels of each image of a folder: given for all, from a table, or as its file says."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from segbench.errors import UserError

Spacing: TypeAlias = tuple[float, ...]
"""Size of a pixel along each axis of S in mm, or 1.0 where only pixels are known."""


def parse_spacing(value: Sequence[float], dims: int, key: str) -> Spacing:
    """Read a spacing from a configuration.

    Args:
        value: one number for each axis.
        dims: axes of the image.
        key: the configuration's key, for messages.

    Raises:
        UserError: where it is something else.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise UserError(f"{key}={value}: {dims} numbers are expected, such as [{', '.join(['0.5'] * dims)}]")
    if len(value) != dims:
        raise UserError(f"{key} has {len(value)} numbers: {dims} are expected")
    return tuple(_size(size, key) for size in value)


class Spacings:
    """Spacing case by case.

    Args:
        given: of all images in mm, or "pixels": 1.0 whatever the files say, or None.
        table: a CSV file with the columns case, (z,) y, x in mm, or None. Without both the files' own words
            count, and all files must have them or none.
        dims: axes of the images.

    Raises:
        UserError: where both are given, or one is no spacing.
    """

    def __init__(self, given: Sequence[float] | Literal["pixels"] | None, table: Path | None, dims: int) -> None:
        if given is not None and table is not None:
            raise UserError("data.dataset.spacing and data.dataset.spacing_file: give one of the two")
        self.dims = dims
        self.fixed: Spacing | None = None
        if given is not None:
            self.fixed = (1.0,) * dims if given == "pixels" else parse_spacing(given, dims, "data.dataset.spacing")
        self.table = None if table is None else _read_table(table, "zyx"[-dims:])
        self._file = table
        self._known: dict[bool, Path] = {}  # a file that says its spacing, and one that does not

    @property
    def from_files(self) -> bool:
        """Return whether the files' own words count."""
        return self.fixed is None and self.table is None

    def settings(self) -> object:
        """The spacing of every case, where it does not come from the files: JSON values."""
        return self.fixed or self.table

    def check(self, cases: Iterable[str]) -> None:
        """Check that the table has every case.

        Raises:
            UserError: naming the first that it lacks.
        """
        missing = [] if self.table is None else [case for case in cases if case not in self.table]
        if missing:
            more = f" (nor {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise UserError(f"{self._file} has no row for the case {missing[0]}{more}: data.dataset.spacing_file")

    def of(self, case: str, said: Spacing | None, path: Path) -> Spacing:
        """The spacing of a case.

        Args:
            case: its id.
            said: what its image file says.
            path: that file.

        Raises:
            UserError: where this file says a spacing and another one does not, or the other way round.
        """
        if self.fixed is not None:
            return self.fixed
        if self.table is not None:
            return self.table[case]
        self._known.setdefault(said is not None, path)  # files are read in several threads, in any order
        if len(self._known) == 2:
            raise UserError(
                f"{self._known[True]} says how large its pixels are, {self._known[False]} does not: give data.dataset."
                "spacing for all, a data.dataset.spacing_file for each, or data.dataset.spacing=pixels"
            )
        return (1.0,) * self.dims if said is None else said


def _read_table(path: Path, axes: str) -> Mapping[str, Spacing]:
    """The rows of a table of spacings by case."""
    key = f"data.dataset.spacing_file={path}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{key}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    columns = ["case", *axes]
    lacking = [column for column in columns if not rows or column not in rows[0]]
    if lacking:
        raise UserError(f"{key}: has no column {lacking[0]}: expected are {', '.join(columns)}, sizes in mm")
    return {row["case"]: tuple(_size(row[axis], f"{key}, {row['case']}, {axis}") for axis in axes) for row in rows}


def _size(text: object, key: str) -> float:
    try:
        size = float(text)  # type: ignore[arg-type]  # whatever a user has written
    except (TypeError, ValueError):
        size = math.nan
    if not 0 < size < math.inf:
        raise UserError(f"{key}: {text!r} is no size of a pixel, which is a number above 0")
    return size
