"""Tables of panoptica: a subject to a line, a column for each group of labels and metric."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from segbench.compare.reading.elsewhere import Elsewhere
from segbench.compare.reading.external import numbers
from segbench.compare.reading.places import Place
from segbench.errors import UserError, as_line

SUBJECT = "subject_name"
UNGROUPED = "ungrouped"
COUNTS: Mapping[str, str] = {"num_ref_instances": "n_ref", "num_pred_instances": "n_pred"}
OF_MASKS: Mapping[str, str] = {
    "global_bin_dsc": "dice",
    "global_bin_iou": "iou",
    "global_bin_cldsc": "cldice",
    "global_bin_assd": "assd",
    "global_bin_hd": "hd",
    "global_bin_hd95": "hd95",
}
"""Metrics of panoptica that are of all pixels of a group, and ours."""
OF_OBJECTS: Mapping[str, str] = {"pq": "panoptic_quality", "sq": "segmentation_quality", "rq": "object_f1_50"}
"""Metrics of panoptica that are of objects, and ours: with its matching at an IoU of 0.5, as it is set at first."""
_SMALLER = re.compile(r"fp|fn|.*_std|.*(?:assd|hd|hd95|rvae|cedi)")
_NEITHER = re.compile(r"num_.*|tp|.*_std|.*rvd|computation_time")
"""Columns that no method can be better in."""


def read_panoptica(place: Place) -> Elsewhere:
    """The scores of one table, of a method by the file's name.

    Raises:
        UserError: where it cannot be read, or is no table of panoptica.
    """
    path = place.folder
    table = _read(path)
    groups = list(dict.fromkeys(column.partition("-")[0] for column in table.columns[1:]))
    parts = []
    for column in map(str, table.columns[1:]):
        group, _, metric = column.partition("-")
        if not metric or _NEITHER.fullmatch(metric):
            continue
        part = pd.DataFrame({"case": table[SUBJECT], "value": numbers(path, table, column, "runs")})
        for count, name in COUNTS.items():
            counted = f"{group}-{count}"
            part[name] = numbers(path, table, counted, "runs") if counted in table else np.nan
        of_objects = metric in OF_OBJECTS and len(groups) == 1
        label = "objects" if of_objects else "class_1" if group == UNGROUPED else group
        parts.append(part.assign(**{"class": label, "metric": {**OF_MASKS, **OF_OBJECTS}.get(metric, metric)}))
    if not parts:
        raise UserError(f"runs={place.text}: has no column GROUP-METRIC, as panoptica writes it")
    frame = pd.concat(parts, ignore_index=True).assign(method=place.name or path.stem)
    better = {str(metric): "smaller" if _SMALLER.fullmatch(str(metric)) else "larger" for metric in frame["metric"]}
    note = f"{place.text}: scores as panoptica wrote them, by its own matching and rules for empty masks"
    return Elsewhere(frame, place.text, better, (note,), (path,))


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"runs={path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"runs={path}: cannot be read as a table with tabs ({as_line(error)})") from error
    if table.empty or table.columns[0] != SUBJECT:
        raise UserError(f"runs={path}: is no table of panoptica: its first column is not {SUBJECT}, or it has no lines")
    twice = table[SUBJECT][table[SUBJECT].duplicated()]
    if len(twice):
        raise UserError(f"runs={path}: {SUBJECT} '{twice.iloc[0]}' is there twice")
    return table
