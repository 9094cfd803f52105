"""The comparison from Python: runs or a table of scores in, tables, a verdict and a report out."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from segbench.api.runs import Run
from segbench.commands.compare import compared, load
from segbench.commands.resolvers import register_resolvers
from segbench.compare.reading.methods import Loaded
from segbench.compare.report.frames import rank_frame, score_frame
from segbench.compare.report.outputs import write_outputs
from segbench.compare.report.page.tables import plain_table
from segbench.compare.report.render import markdown
from segbench.compare.report.tables import Table, comparison_table
from segbench.compare.request import Request
from segbench.compare.statistics.comparison import Comparison as Statistics
from segbench.compare.statistics.verdict import judge
from segbench.config.paths import conf_folder
from segbench.config.values import check_values
from segbench.errors import UserError
from segbench.system.atomic import write_atomically

Place = str | Path | Run


@dataclass(frozen=True)
class Comparison:
    """Methods ranked, and how sure one can be of their order.

    Attributes:
        statistics: all that was computed.
        loaded: what was compared.
        request: how.
        frame: the table of scores where one was given.
    """

    statistics: Statistics
    loaded: Loaded
    request: Request
    frame: pd.DataFrame | None = None

    @property
    def methods(self) -> list[str]:
        """The methods, best first."""
        return [self.statistics.methods[index] for index in self.statistics.order]

    @property
    def verdict(self) -> str:
        """The result in words: what it shows, and what it does not."""
        return judge(self.statistics).sentence

    @property
    def notes(self) -> list[str]:
        """Remarks on what was left out, or is doubtful."""
        return [*self.loaded.notes, *self.statistics.notes]

    def table(self) -> pd.DataFrame:
        """The scores with intervals: a row for each data set, metric, class and method, as `scores.csv` has them."""
        return score_frame(self.statistics)

    def ranks(self) -> pd.DataFrame:
        """The ranks, as `ranks.csv` has them."""
        return rank_frame(self.statistics)

    def pairwise(self) -> pd.DataFrame:
        """Every two methods compared, as `pairwise.csv` has them."""
        return self.statistics.pairs

    def report(self, folder: str | Path) -> Path:
        """Write report.html with tables, figures and texts into a folder; return the page.

        A table of scores that was given as a DataFrame is kept beside it, as FOLDER-scores.csv.

        Raises:
            UserError: if the folder cannot be written, or holds something else.
        """
        folder = Path(folder)
        request = replace(self.request, output=folder)
        if self.frame is not None:
            kept = folder.with_name(f"{folder.name}-scores.csv")
            folder.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, self.frame.to_csv(index=False).encode())
            request = replace(request, scores=kept)
        write_outputs(folder, self.statistics, self.loaded, request)
        return folder / "report.html"

    def __str__(self) -> str:
        return f"{markdown(self._table)}\n{self.verdict}"

    def __repr__(self) -> str:
        return f"Comparison({', '.join(map(repr, self.methods))})"

    def _repr_html_(self) -> str:
        """The table and the verdict in a notebook."""
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"{plain_table(self._table, '')}<p><b>{escape(self.verdict)}</b></p><ul>{notes}</ul>"

    @property
    def _table(self) -> Table:
        metrics = self.statistics.settings.metrics
        return comparison_table(self.statistics, self.loaded.methods, metrics, self.request.form.uncertainty)


def compare(runs: Place | Sequence[Place] | pd.DataFrame, **settings: Any) -> Comparison:
    """Compare runs, or scores made by any other tool. Nothing is written; see `Comparison.report`.

    Args:
        runs: a folder with run directories at any depth, a run, several of them, or another tool's results such as
            `masks:FOLDER` and `nnunet:FOLDER`; or a table with the columns method, case, value and, where known,
            dataset, class, metric, group, seed, fold.
        settings: keys of conf/compare.yaml: `metric="hd95"`, `ranking="per_case"`, `baseline="unet"`,
            `better="larger"` (which a table needs whose metrics are not known), `bootstraps=1000`, ..

    Raises:
        UserError: if something is wrong with a setting, or the methods cannot be compared.
    """
    given: dict[str, Any] = dict(settings)
    for key in ("runs", "scores", "output", "publish"):
        if key in given:
            raise UserError(f"{key}: is no setting of segbench.compare(runs, ..)")
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(runs, pd.DataFrame):
            given["scores"] = str(Path(folder) / "scores.csv")
            runs.to_csv(given["scores"], index=False)
        else:
            several = [runs] if isinstance(runs, str | Path | Run) else list(runs)
            given["runs"] = [str(place.path if isinstance(place, Run) else place) for place in several]
        config = _configured(given)
        request = Request.parse(config)
        statistics, loaded = compared(request, load(request, config.get("metrics")))
    frame = runs if isinstance(runs, pd.DataFrame) else None
    return Comparison(statistics, loaded, request, frame)


def _configured(given: dict[str, Any]) -> DictConfig:
    """conf/compare.yaml with some values.

    Raises:
        UserError: naming the one that is impossible.
    """
    register_resolvers()
    chosen = [f"metrics={given.pop('metrics')}"] if "metrics" in given else []
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config = compose("compare", overrides=chosen)
    unknown = sorted(set(given) - set(map(str, config)))
    if unknown:
        raise UserError(f"{unknown[0]}: there is no such setting; known are {', '.join(map(str, config))}")
    with open_dict(config):
        config.merge_with(given)
    check_values(config, "compare")
    return config
