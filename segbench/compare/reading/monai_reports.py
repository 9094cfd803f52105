"""Reports of MONAI (MetricsSaver, write_metrics_reports): METRIC_raw.csv, an image to a line, a class to a column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from segbench.compare.reading.elsewhere import Elsewhere
from segbench.compare.reading.external import numbers
from segbench.compare.reading.nnunet import stem
from segbench.compare.reading.places import Place
from segbench.errors import UserError, as_line

FILE = "filename"
MEAN = "mean"
NAMES: Mapping[str, tuple[str, str]] = {
    "dice": ("dice", "larger"),
    "iou": ("iou", "larger"),
    "hausdorff_distance": ("hd", "smaller"),
    "surface_distance": ("assd", "smaller"),
    "surface_dice": ("nsd", "larger"),
}
"""Metrics of MONAI, ours, and the direction."""
_AROUND = re.compile(r"^(?:(?:val|test|mean)_)+")


def is_report(path: Path) -> bool:
    """Return whether a file is such a report: by its name, or its first word."""
    if path.name.endswith("_raw.csv"):
        return True
    try:
        with path.open(encoding="utf-8") as file:
            return re.match(rf"{FILE}\W", file.readline()) is not None
    except (OSError, UnicodeDecodeError):
        return False  # whoever reads it says so


def read_report(place: Place) -> Elsewhere:
    """The scores of one report, of a method by the name of its folder.

    Raises:
        UserError: where it cannot be read, or is no such report.
    """
    path = place.folder
    table = _read(path)
    classes = [str(column) for column in table.columns if column not in (FILE, MEAN)]
    asked = _AROUND.sub("", path.stem.removesuffix("_raw"))
    metric, way = NAMES.get(asked, (asked, ""))
    cases = table[FILE].map(stem)
    if cases.duplicated().any():
        raise UserError(f"runs={path}: case '{cases[cases.duplicated()].iloc[0]}' is there twice")
    parts = [
        pd.DataFrame({"case": cases, "class": name, "value": numbers(path, table, name, "runs")}) for name in classes
    ]
    frame = pd.concat(parts, ignore_index=True).assign(metric=metric, method=place.name or path.absolute().parent.name)
    numbered = len(classes) if classes == [f"class{k}" for k in range(len(classes))] else 0
    note = f"{place.text}: scores as MONAI wrote them, by its rules for empty masks"
    return Elsewhere(frame, place.text, {metric: way} if way else {}, (note,), (path,), numbered)


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"runs={path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise UserError(f"runs={path}: cannot be read as CSV ({as_line(error)})") from error
    if table.empty or table.columns[0] != FILE or len(table.columns) < 2:
        raise UserError(f"runs={path}: is no report of MONAI: its first column is not {FILE}, or it has no lines")
    return table
