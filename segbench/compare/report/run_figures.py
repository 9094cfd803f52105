"""Figures that need runs: score against cost, and the learning curves over each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from segbench.compare.reading.methods import Method
from segbench.compare.reading.runs import Run
from segbench.compare.report.efficiency import pareto
from segbench.compare.report.frames import mean_scores
from segbench.compare.report.style import FAINT, colour, light_grid, log_axis, marker, new_figure
from segbench.compare.report.tables import metric_name
from segbench.compare.statistics.comparison import Comparison
from segbench.errors import UserError, as_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COSTS = (("parameters", "parameters (millions)", 1e-6), ("seconds_per_case", "time per case (seconds)", 1.0))
VALIDATION = "validation/"
PANELS = 3
"""Panels of curves side by side."""


def cost_figure(comparison: Comparison, methods: Sequence[Method], metric: str) -> Figure | None:
    """Score against parameters and against time; the line is the Pareto front. None where no cost is known."""
    amounts = [(label, np.array([m.cost(key) for m in methods]) * scale) for key, label, scale in COSTS]
    amounts = [(label, values) for label, values in amounts if np.isfinite(values).any()]
    if not amounts:
        return None
    scores, larger = mean_scores(comparison, metric), comparison.larger(metric)
    figure = new_figure(4.6 * len(amounts), 3.6 + 0.2 * -(-len(methods) // (2 * len(amounts))))
    panels = figure.subplots(1, len(amounts), squeeze=False, sharey=True)[0]
    for axes, (label, values) in zip(panels, amounts, strict=True):
        _front(axes, scores, values, larger)
        for k in comparison.order:
            axes.plot(values[k], scores[k], marker(k), color=colour(k), markersize=8, label=comparison.methods[k])
        axes.set_xlabel(label)
        if np.nanmax(values) > 3 * np.nanmin(values) > 0:
            log_axis(axes, "x")
        light_grid(axes, "both")
    panels[0].set_ylabel(f"{metric_name(metric)}, mean")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2 * len(amounts), fontsize=8)
    return figure


def _front(axes: Axes, scores: np.ndarray, costs: np.ndarray, larger: bool) -> None:
    on_front = np.flatnonzero(pareto(scores, costs, larger))
    steps = on_front[np.argsort(costs[on_front])]
    axes.step(costs[steps], scores[steps], where="post", color=FAINT, linewidth=1.2, zorder=1)


def read_curves(methods: Sequence[Method], dataset: str) -> dict[str, list[pd.DataFrame]]:
    """The curves of each method's runs on a data set; runs without any are left out.

    Raises:
        UserError: if a metrics.csv cannot be read.
    """
    paths = {m.name: [run.path / "metrics.csv" for run in m.runs if run.dataset == dataset] for m in methods}
    return {name: [c for path in of_method if (c := _read(path)) is not None] for name, of_method in paths.items()}


def _read(path: Path) -> pd.DataFrame | None:
    if not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        table = pd.read_csv(io.StringIO(text))
        if not text.endswith("\n") or not all(map(is_numeric_dtype, table.dtypes)):
            raise ValueError("it is no whole table of numbers")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: is damaged ({as_line(error)[:120]}); delete it, and the run is shown without its curves"
        ) from error
    return table if "step" in table.columns else None


def curve_figure(comparison: Comparison, methods: Sequence[Method], dataset: str) -> Figure | None:
    """Mean over the runs of a method, its band from the lowest to the highest run. None without curves.

    Training losses of one kind share a panel: those of different kinds have no common scale.
    """
    curves = read_curves(methods, dataset)
    names = list(dict.fromkeys(c for tables in curves.values() for table in tables for c in table.columns))
    everyone = tuple(comparison.order)
    panels = [_Panel("train/loss", *kind, "log") for kind in _kinds(methods, everyone)] if "train/loss" in names else []
    validated = [name for name in names if name.startswith(VALIDATION) and name.count("/") == 1]
    panels += [
        _Panel(name, f"validation {metric_name(name.removeprefix(VALIDATION))}", everyone) for name in validated[:1]
    ]
    if not panels:
        return None
    across = min(PANELS, len(panels))
    down = -(-len(panels) // across)
    figure = new_figure(4.6 * across, 0.6 + 3.0 * down + 0.2 * -(-len(everyone) // (2 * across)))
    grid = figure.subplots(down, across, squeeze=False)
    known: dict[str, Any] = {}
    for axes, panel in zip(grid.flat, panels, strict=False):
        for k in panel.methods:
            _curve(axes, curves[comparison.methods[k]], panel.column, k, comparison.methods[k])
        axes.set(xlabel="step", title=panel.title)
        if panel.scale == "log" and axes.get_ylim()[0] > 0:
            log_axis(axes, "y")
        light_grid(axes, "both")
        handles, labels = axes.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=2 * across, fontsize=8)
    return figure


class _Panel(NamedTuple):
    column: str
    title: str
    methods: tuple[int, ...]
    scale: str = "linear"


def _kinds(methods: Sequence[Method], order: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
    """The methods that minimise the same objective, under a title for each; those that take no steps have none."""
    kinds: dict[str, list[int]] = {}
    for k in order:
        runs = [run for run in methods[k].runs if run.takes_steps]
        if runs:
            kinds.setdefault(repr(_objective(runs[0])), []).append(k)
    losses = [methods[of_kind[0]].runs[0].record["choices"].get("loss", "") for of_kind in kinds.values()]
    several = len(kinds) > 1
    titles = [f"training loss: {loss}" if several and loss else "training loss" for loss in losses]
    return [(title, tuple(of_kind)) for title, of_kind in zip(titles, kinds.values(), strict=True)]


def _objective(run: Run) -> Any:
    """The part of the configuration that decides what a loss of 1 means."""
    objective = (run.config.get("task") or {}).get("objective")
    return run.config.get("loss") if objective is None else objective


def _curve(axes: Axes, tables: Sequence[pd.DataFrame], column: str, method: int, name: str) -> None:
    known = [t.set_index("step")[column].dropna() for t in tables if column in t.columns]
    known = [curve[~curve.index.duplicated(keep="last")] for curve in known if len(curve)]
    if not known:
        return
    joined = pd.concat(known, axis=1).sort_index().interpolate(method="index", limit_area="inside")
    mean, low, high = joined.mean(axis=1), joined.min(axis=1), joined.max(axis=1)
    steps = joined.index.to_numpy()
    axes.fill_between(steps, low, high, color=colour(method), alpha=0.15, linewidth=0)
    spacing = max(1, len(steps) // 8)
    axes.plot(
        steps,
        mean,
        color=colour(method),
        marker=marker(method),
        markevery=spacing,
        markersize=4,
        linewidth=1.4,
        label=name,
    )
