"""A run from Python: its scores, and its predictions of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.api.overrides import assigned
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory, read_cases, read_config
from segbench.runs.discovery import RECORD

if TYPE_CHECKING:
    from segbench.training.predictor import FinishedRun


class Run:
    """A run directory.

    Attributes:
        path: the directory.
    """

    def __init__(self, path: str | Path, trust: Sequence[str] = ()) -> None:
        """See `load`."""
        self.path = Path(path)
        self._trust = tuple(trust)
        if not (self.path / RECORD).exists():
            raise UserError(f"{self.path}: is no run directory, it has no {RECORD}")

    @property
    def record(self) -> Mapping[str, Any]:
        """The record of run.json: data, training, cost, environment."""
        return RunDirectory(self.path).record

    @property
    def name(self) -> str:
        """The name of the run."""
        return str(self.record["name"])

    @property
    def status(self) -> str | None:
        """`finished`, `running`, `failed`, `interrupted` or `pruned`."""
        return RunDirectory(self.path).status

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration, resolved, as plain values."""
        return read_config(self.path)

    @property
    def cases(self) -> pd.DataFrame:
        """The scores: a row for each test case, class and metric, as `cases.csv` has them."""
        return read_cases(RunDirectory(self.path).cases)

    @property
    def scores(self) -> pd.DataFrame:
        """The mean over the test cases: a row for each class, a column for each metric."""
        cases = self.cases
        means = cases.groupby(["class", "metric"], sort=False)["value"].mean().unstack()
        return means[list(cases["metric"].unique())]

    def predict(self, image: np.ndarray | str | Path, spacing: Sequence[float] | None = None) -> np.ndarray:
        """The class of each pixel of an image or a volume.

        Args:
            image: an array (C, *S), of one channel also (*S), or a file. Of a stack (C, D, H, W) every slice is
                predicted where the network is for images.
            spacing: of the axes *S in mm, for networks that resample; None: as the file says, else 1.

        Returns:
            (*S) uint8.

        Raises:
            UserError: where the file cannot be read, or the image has other dimensions or channels than the run's.
        """
        from segbench.commands.predict import read_image  # only now is PyTorch imported

        dims, channels = self._network.image_dims, self._network.image_channels
        if isinstance(image, str | Path):
            array, found = read_image([Path(image)], dims, channels)
            spacing = found if spacing is None else spacing
        else:
            array = image[None] if image.ndim == dims and channels == 1 else image
        if array.ndim not in (dims + 1, dims + 2) or len(array) != channels:
            known = f"{channels} channel{'s' * (channels != 1)} and {dims} axes"
            raise UserError(f"image of shape {array.shape}: {self.path} was trained on {known}")
        if array.ndim == dims + 1:
            return self._network.predict(array, spacing)
        edges = None if spacing is None else spacing[-dims:]
        return np.stack([self._network.predict(part, edges) for part in np.moveaxis(array, 1, 0)])

    def evaluate(self, *overrides: str) -> pd.DataFrame:
        """Score the run again: on its own test cases, or on a data set that it never saw.

        Args:
            overrides: as of `segbench evaluate`: `"data=folder", "data.root=other/hospital"`, or `"metrics=volumes"`.

        Returns:
            The scores: a row for each case, class and metric.

        Raises:
            UserError: where the network does not fit the data.
        """
        from segbench.commands.execution import execute

        trust = [f"trust=[{','.join(self._trust)}]"] if self._trust else []
        (path,) = execute("evaluate", [assigned("run", self.path), *trust, *overrides])
        return read_cases(path)

    @cached_property
    def _network(self) -> FinishedRun:
        """The best network, loaded once."""
        from segbench.training.predictor import load_run

        return load_run(self.path, trusted=self._trust)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.status})"

    def _repr_html_(self) -> str:
        """The scores in a notebook."""
        head = f"<b>{escape(self.name)}</b>: {self.status}, {escape(str(self.path))}"
        return f"{head}<br>{self.scores.to_html(float_format='{:.3f}'.format)}" if self.status == "finished" else head


def load(path: str | Path, trust: Sequence[str] = ()) -> Run:
    """A run that was made before.

    Args:
        path: its directory.
        trust: packages of your own that it is made of; a run of somebody else's executes nothing else.

    Raises:
        UserError: where this is no run directory.
    """
    return Run(path, trust)
