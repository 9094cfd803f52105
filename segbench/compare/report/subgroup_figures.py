"""A figure of the scores within subgroups of the cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.compare.report.frames import records
from segbench.compare.report.style import INK, colour, light_grid, marker, new_figure
from segbench.compare.report.tables import metric_name
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.scores import MEAN_OF_CLASSES
from segbench.compare.statistics.subgroups import Subgroups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = 4


def subgroup_figure(comparison: Comparison, division: Subgroups, scores: pd.DataFrame, metric: str) -> Figure:
    """A panel for each subgroup: the mean of every method with its interval, best of all cases on top."""
    chosen = scores[(scores["column"] == division.column) & (scores["dataset"] == division.dataset)]
    chosen = chosen[(chosen["metric"] == metric) & (chosen["class"] == MEAN_OF_CLASSES)]
    lines = {(line["subgroup"], line["method"]): line for line in records(chosen)}
    order = comparison.order
    across = min(PANELS, len(division.names))
    down = -(-len(division.names) // across)
    figure = new_figure(1.8 + 2.2 * across, down * (0.8 + 0.28 * len(order)))
    grid = figure.subplots(down, across, squeeze=False, sharey=True, sharex=True)
    counts = np.bincount(division.members, minlength=len(division.names))
    for axes, name, count in zip(grid.flat, division.names, counts, strict=False):
        for place, m in enumerate(order):
            line = lines[name, comparison.methods[m]]
            axes.plot([line["low"], line["high"]], [place, place], color=INK, linewidth=1.2)
            axes.plot(line["score"], place, marker(m), color=colour(m), markersize=7)
        axes.set_title(f"{name} (n = {count})")
        light_grid(axes)
    for axes in grid[-1]:
        axes.set_xlabel(metric_name(metric))
    for axes in grid.flat[len(division.names) :]:
        axes.set_visible(False)
    grid[0, 0].set_yticks(range(len(order)), [comparison.methods[m] for m in order])
    grid[0, 0].invert_yaxis()
    return figure
