"""`metrics.csv`: written by every run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from segbench.runs.curves import CURVES, whole_rows
from segbench.runs.directory import RunDirectory
from segbench.system.atomic import write_atomically

log = logging.getLogger(__name__)


class Curves(Logger):
    """One row per step that has something to say, one column per curve.

    The file is written whole together with every checkpoint; a continued run repeats the steps since
    then, and its rows replace those of the same steps.
    """

    def __init__(self, directory: RunDirectory) -> None:
        super().__init__()
        self.path = directory.path / CURVES
        self._rows: dict[int, dict[str, float]] = {}
        self._written = False
        rows, fault = whole_rows(directory.path)
        self._rows.update(rows)
        if fault is not None or (directory.states and not self.path.exists()):
            last = max(self._rows, default=0)
            log.warning("%s %s: of the curves up to here those after step %d are lost", self.path,
                        f"is damaged ({fault})" if fault else "is not there", last)  # fmt: skip
            self.save()

    @property
    def name(self) -> str:
        """Not used: the run directory has a name."""
        return ""

    @property
    def version(self) -> str:
        """Not used: a run has one version."""
        return ""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the configuration is in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep the values of one step. Lightning counts steps from 0; the file says how many are done."""
        values = {key: float(value) for key, value in metrics.items() if key != "epoch"}
        self._rows.setdefault((step or 0) + 1, {}).update(values)
        self._written = False

    @rank_zero_only
    def save(self) -> None:
        """Write the file, where there is something new: Lightning asks for it more often."""
        if self._written:
            return
        rows = [{"step": step, **values} for step, values in sorted(self._rows.items())]
        columns = ["step", *sorted({key for row in rows for key in row} - {"step"})]
        write_atomically(self.path, pd.DataFrame(rows, columns=columns).to_csv(index=False))
        self._written = True

    def record_result(self, summary: Mapping[str, float]) -> None:
        """Do nothing: results are in run.json and cases.csv."""

    def close(self, failed: bool) -> None:
        """Do nothing: nothing is open."""
