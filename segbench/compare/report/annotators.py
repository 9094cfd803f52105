"""Several annotators in the report: the order of the methods by each of them, and where it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segbench.compare.report.style import INK, colour, light_grid, marker, new_figure
from segbench.compare.statistics.comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LISTED = 4


def annotator_figure(comparison: Comparison, orders: pd.DataFrame, reversed_pairs: pd.DataFrame) -> Figure:
    """The place of each method by each reference; lines that cross are methods whose order depends on the annotator."""
    references = list(dict.fromkeys(orders["reference"]))
    table = orders.pivot(index="method", columns="reference", values="place")[references]
    moved = {*reversed_pairs["method"], *reversed_pairs["other"]}
    figure = new_figure(2.4 + 1.8 * len(references), max(2.6, 0.4 * len(table)))
    axes = figure.subplots()
    for k in comparison.order:
        name = comparison.methods[k]
        if name not in table.index:
            continue
        strong = name in moved
        axes.plot(
            range(len(references)),
            table.loc[name],
            color=colour(k),
            marker=marker(k),
            linewidth=2.2 if strong else 1.0,
            alpha=1.0 if strong else 0.55,
            markersize=6,
        )
    last = table[references[-1]]
    for place in sorted(set(last)):
        equals = "\n".join(name for name in table.index if last[name] == place)
        axes.text(len(references) - 0.92, place, equals, va="center", fontsize=8, color=INK)
    axes.set_xticks(range(len(references)), references)
    axes.set_yticks(range(1, len(table) + 1))
    axes.invert_yaxis()
    axes.set(ylabel="place by rank sum", xlim=(-0.2, len(references) - 0.3))
    light_grid(axes, "y")
    return figure


def reversal_sentence(reversed_pairs: pd.DataFrame) -> str:
    """Between which methods the choice of the annotator changes the order."""
    if reversed_pairs.empty:
        return "All annotators put the methods in the same order."
    lines = [
        f"'{line.method}' before '{line.other}' by {line.first} ({line.by_first:+.3f}), behind it by {line.second}"
        f" ({line.by_second:+.3f})"
        for line in reversed_pairs.head(LISTED).itertuples()
    ]
    more = f" and {len(reversed_pairs) - LISTED} more" if len(reversed_pairs) > LISTED else ""
    return f"The choice of the annotator changes the order: {'; '.join(lines)}{more}."
