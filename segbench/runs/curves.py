"""`metrics.csv`, the curves of a run, read back."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from segbench.errors import UserError, as_line

CURVES = "metrics.csv"

Row = tuple[int, dict[str, float]]
"""Optimizer steps done, and what is known then."""


def read_curves(path: Path) -> list[Row]:
    """The rows of the curves in a run directory; none where there is no such file.

    Raises:
        UserError: where the file is not whole.
    """
    rows, fault = whole_rows(path)
    if fault is not None:
        raise UserError(f"{path / CURVES}: is damaged ({fault}); delete it, and the run is shown without its curves")
    return rows


def whole_rows(path: Path) -> tuple[list[Row], str | None]:
    """The rows of the curves in a run directory up to the first that is damaged, and what is wrong with that."""
    rows: list[Row] = []
    try:
        text = (path / CURVES).read_text(encoding="utf-8")
        lines, complete = csv.reader(io.StringIO(text, newline="")), text.count("\n")
        header = next(lines, [])
        if header[:1] != ["step"]:
            raise ValueError("there is no column step")
        for line in lines:
            if len(line) != len(header) or lines.line_num > complete:
                raise ValueError(f"line {lines.line_num} is cut off")
            values = {key: float(value) for key, value in zip(header[1:], line[1:], strict=True) if value}
            rows.append((int(line[0]), {key: value for key, value in values.items() if not math.isnan(value)}))
    except FileNotFoundError:
        return [], None
    except (OSError, ValueError, csv.Error) as error:
        return rows, as_line(error)[:120]
    return rows, None
