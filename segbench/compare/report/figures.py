"""Figures of the scores: per case, per rank, per pair, per seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from segbench.compare.report.style import BETTER, FAINT, INK, LEVEL, WORSE, colour, light_grid, marker, new_figure
from segbench.compare.report.tables import metric_name, number
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.friedman import rank_cliques
from segbench.compare.statistics.scores import MEAN_OF_CLASSES, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 400
"""More cases than this are thinned out for drawing; boxes and means are of all."""
PANELS = 4
LEGIBLE = 16
"""The most methods whose pairs are shown with numbers."""


def score_figure(comparison: Comparison, k: int, metric: str) -> Figure:
    """Every case of one data set: a panel for each class, a box with dots for each method, best on top.

    The diamond is the mean with its interval; the box is quartiles and median, whiskers reach 1.5
    times its length.
    """
    scores, interval = comparison.sets[k], comparison.intervals[k]
    rows = np.flatnonzero(scores.chosen([metric]))
    order = comparison.order
    columns = min(PANELS, len(rows))
    lines = -(-len(rows) // columns)
    height = 0.9 + lines * (0.7 + 0.3 * len(order))
    figure = new_figure(1.4 + max(2.6 * columns, 4.5), height)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, row in zip(grid.flat, rows, strict=False):
        _boxes(axes, scores.values[row], comparison.summaries[k][row], interval.low[row], interval.high[row], order)
        axes.set_title(scores.rows[row].label)
        axes.set_xlabel(metric_name(metric))
    for axes in grid.flat[len(rows) :]:
        axes.set_visible(False)
    grid[0, 0].set_yticks(range(len(order)), [comparison.methods[m] for m in order])
    grid[0, 0].invert_yaxis()
    return figure


def _boxes(
    axes: Axes, values: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray, order: Sequence[int]
) -> None:
    generator = np.random.default_rng(0)
    for place, method in enumerate(order):
        known = values[method][~np.isnan(values[method])]
        if not len(known):
            continue
        if len(known) > 4:
            axes.boxplot(
                known,
                positions=[place],
                orientation="horizontal",
                widths=0.62,
                showfliers=False,
                manage_ticks=False,
                patch_artist=True,
                boxprops={"facecolor": f"{colour(method)}33", "edgecolor": colour(method), "linewidth": 0.9},
                medianprops={"color": colour(method), "linewidth": 1.4},
                whiskerprops={"color": colour(method), "linewidth": 0.9},
                capprops={"linewidth": 0},
            )
        shown = known if len(known) <= DOTS else generator.choice(known, DOTS, replace=False)
        heights = place + generator.uniform(-0.22, 0.22, len(shown))
        axes.plot(shown, heights, ".", color=colour(method), markersize=5, alpha=0.55, markeredgewidth=0)
        axes.plot([low[method], high[method]], [place, place], color=INK, linewidth=1.6)
        axes.plot(mean[method], place, "D", color=INK, markersize=4)
    light_grid(axes)


def critical_difference_figure(comparison: Comparison, metric: str) -> Figure:
    """Demsar's diagram: mean ranks on a line, a bar over methods that do not differ significantly (Nemenyi)."""
    test = comparison.friedman[metric]
    order = np.argsort(test.mean_ranks, kind="stable")
    ranks = test.mean_ranks[order]
    groups = rank_cliques(ranks, test.critical_difference)
    methods = len(order)
    half = -(-methods // 2)
    bars = 0.28 * len(groups)
    bottom = -(1.0 + bars + 0.55 * half)
    figure = new_figure(8.4, 1.0 - bottom * 0.42)
    axes = figure.subplots()
    margin = 0.62 * (methods - 1)
    axes.set(xlim=(1 - margin, methods + margin), ylim=(bottom, 1.6))
    axes.axis("off")
    axes.plot([1, methods], [0, 0], color=INK, linewidth=1.2)
    for tick in range(1, methods + 1):
        axes.plot([tick, tick], [0, 0.16], color=INK, linewidth=1)
        axes.text(tick, 0.3, str(tick), ha="center", va="bottom")
    axes.plot([1, 1 + test.critical_difference], [1.15, 1.15], color=FAINT, linewidth=2)
    label = f"critical difference {test.critical_difference:.2f} (Nemenyi, {test.alpha:.2g})"
    label += f"; Friedman p = {test.p:.2g}, n = {test.cases}"
    axes.text(1, 1.28, label, va="bottom")
    for place, (method, rank) in enumerate(zip(order, ranks, strict=True)):
        left = place < half
        level = -(0.75 + bars + 0.55 * (place if left else methods - 1 - place))
        end = 1 - 0.06 * margin if left else methods + 0.06 * margin
        axes.plot([rank, rank, end], [0, level, level], color=colour(method), linewidth=1.2)
        axes.plot(rank, 0, marker(method), color=colour(method), markersize=6, zorder=3)
        name = f"{comparison.methods[method]}  {rank:.2f}" if left else f"{rank:.2f}  {comparison.methods[method]}"
        axes.text(end, level, f" {name} ", ha="right" if left else "left", va="center")
    for level, group in enumerate(groups):
        ends = [ranks[group[0]] - 0.04, ranks[group[-1]] + 0.04]
        axes.plot(ends, [-0.35 - 0.28 * level] * 2, color=INK, linewidth=3.5, solid_capstyle="round")
    return figure


def stability_figure(comparison: Comparison) -> Figure:
    """Draw the share of the resamples in which each method stands at each place, as the area of a blob.

    The bar spans the interval of the place, the white dot is the place in the data themselves.
    """
    total, order = comparison.total, comparison.order
    methods = len(order)
    tail = comparison.settings.level / 2
    size = max(3.2, 0.42 * methods)
    figure = new_figure(size + 2.6, size + 0.5)
    axes = figure.subplots()
    area = 0.8 * (size / methods * 72) ** 2
    for line, method in enumerate(order):
        shares = total.shares[method]
        reached = np.cumsum(shares)
        ends = [np.searchsorted(reached, share - 1e-9) + 1 for share in (tail, 1 - tail)]
        axes.plot(ends, [line, line], color=colour(method), linewidth=1.4, alpha=0.7)
        places = np.flatnonzero(shares > 0)
        axes.scatter(places + 1, [line] * len(places), s=area * shares[places], color=colour(method), linewidths=0)
        axes.plot(total.positions[method], line, "o", color="white", markeredgecolor=INK, markersize=4.5)
    axes.set_yticks(range(methods), [comparison.methods[m] for m in order])
    axes.set_xticks(range(1, methods + 1))
    axes.set(xlim=(0.4, methods + 0.6), ylim=(methods - 0.4, -0.6), xlabel="place by total rank sum")
    light_grid(axes)
    return figure


def significance_figure(comparison: Comparison, metric: str) -> Figure:
    """Every pair on the mean over classes: blue where the row's method is significantly better, orange worse.

    The number is the difference in what methods are ranked by, row minus column.
    """
    scores, row = comparison.overall, Row(metric, MEAN_OF_CLASSES)
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    methods, order = len(comparison.methods), comparison.order
    size = max(3.2, 0.46 * methods)
    figure = new_figure(size + 2.6, size + 1.2)
    axes = figure.subplots()
    p, noise = (comparison.matrix(scores, row, column) for column in ("p_holm", "within_seed_noise"))
    difference = _signed_differences(comparison, metric)
    better = comparison.better(scores, row)
    cells, colours = [], []
    for line, first in enumerate(order):
        for column, second in enumerate(order):
            if first == second or p is None or noise is None:
                continue
            significant = better[first, second] or better[second, first]
            strength = 0.25 if not significant else 0.45 if noise[first, second] == 1 else 0.85
            cells.append(Rectangle((column - 0.47, line - 0.47), 0.94, 0.94))
            colours.append(to_rgba((BETTER if better[first, second] else WORSE) if significant else LEVEL, strength))
            if methods <= LEGIBLE:
                text = f"{difference[first, second]:+.3f}".replace("+0.", "+.").replace("-0.", "−.")
                ink = "white" if strength > 0.5 else INK
                axes.text(column, line, text, ha="center", va="center", fontsize=8, color=ink)
    axes.add_collection(PatchCollection(cells, facecolors=colours, linewidths=0, rasterized=methods > LEGIBLE))
    names = [comparison.methods[m] for m in order]
    axes.set_xticks(range(methods), names, rotation=90 if methods > 4 else 20, ha="center" if methods > 4 else "right")
    axes.set_yticks(range(methods), names)
    axes.set(xlim=(-0.5, methods - 0.5), ylim=(methods - 0.5, -0.5), aspect="equal")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _signed_differences(comparison: Comparison, metric: str) -> np.ndarray:
    """(M, M) difference in what methods are ranked by, row minus column."""
    square = comparison.matrix(comparison.overall, Row(metric, MEAN_OF_CLASSES), "difference")
    assert square is not None
    lower = np.tril_indices(len(square), k=-1)
    square[lower] = -square[lower]
    return square


def seed_figure(comparison: Comparison, metric: str) -> Figure:
    """Each method's mean with each of its seeds, over a band as wide as seeds alone explain."""
    scores, row = comparison.overall, Row(metric, MEAN_OF_CLASSES)
    repeats = scores.repeats[scores.rows.index(row)]
    noise = comparison.matrix(scores, row, "seed_noise")
    order = comparison.order
    figure = new_figure(6.4, 0.9 + 0.3 * len(order))
    axes = figure.subplots()
    best = order[0]
    means = np.nanmean(repeats, axis=1)
    if noise is not None and np.isfinite(noise[best]).any():
        width = float(np.nanmedian(noise[best]))
        axes.axvspan(means[best] - width, means[best] + width, color=FAINT, alpha=0.2, linewidth=0)
    for place, method in enumerate(order):
        seeds = repeats[method][~np.isnan(repeats[method])]
        axes.plot(
            seeds,
            [place] * len(seeds),
            marker(method),
            color=colour(method),
            markersize=6,
            alpha=0.65,
            markeredgewidth=0,
        )
        axes.plot([means[method]] * 2, [place - 0.28, place + 0.28], color=INK, linewidth=1.6)
    axes.set_yticks(range(len(order)), [comparison.methods[m] for m in order])
    axes.invert_yaxis()
    axes.set_xlabel(f"{metric_name(metric)}, mean over classes and cases; a mark for each seed")
    light_grid(axes)
    return figure


def rule_figure(comparison: Comparison) -> Figure:
    """The place of each method by each ranking rule: level lines mean that the rule does not matter."""
    rules = list(comparison.other_rules)
    order = comparison.order
    size = max(3.0, 0.36 * len(order))
    figure = new_figure(7.6, size)
    axes = figure.subplots()
    for method in order:
        places = [comparison.other_rules[rule].positions[method] for rule in rules]
        axes.plot(
            range(len(rules)),
            places,
            color=colour(method),
            marker=marker(method),
            linewidth=1.6,
            markersize=6,
        )
    last = comparison.other_rules[rules[-1]].positions
    for place in np.unique(last[~np.isnan(last)]):
        equals = "\n".join(comparison.methods[method] for method in order if last[method] == place)
        axes.text(len(rules) - 0.85, place, equals, va="center", fontsize=8)
    axes.set_xticks(range(len(rules)), [rule.replace("_", "\n") for rule in rules])
    axes.set_yticks(range(1, len(order) + 1), [number(float(k)) for k in range(1, len(order) + 1)])
    axes.invert_yaxis()
    axes.set(ylabel="place by total rank sum", xlim=(-0.2, len(rules) - 0.8))
    light_grid(axes, "y")
    return figure


def tree_figure(comparison: Comparison) -> Figure:
    """The data sets as a tree: those that order the methods alike are joined early."""
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    consensus = comparison.consensus
    figure = new_figure(6.4, 0.9 + 0.3 * len(consensus.data_sets))
    axes = figure.subplots()
    tree = linkage(squareform(consensus.apart, checks=False), method="complete")
    dendrogram(tree, labels=list(consensus.data_sets), orientation="left", ax=axes, color_threshold=0,
               above_threshold_color=INK)  # fmt: skip
    axes.set_xlabel("distance of their orders")
    light_grid(axes)
    return figure
