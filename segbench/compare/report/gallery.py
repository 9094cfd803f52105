"""The figures of a comparison, and their captions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from segbench.compare.reading.methods import Loaded
from segbench.compare.report.annotators import annotator_figure, reversal_sentence
from segbench.compare.report.figures import (
    critical_difference_figure,
    rule_figure,
    score_figure,
    seed_figure,
    significance_figure,
    stability_figure,
    tree_figure,
)
from segbench.compare.report.run_figures import cost_figure, curve_figure
from segbench.compare.report.style import natural_width, save, styled
from segbench.compare.report.subgroup_figures import subgroup_figure
from segbench.compare.report.tables import metric_name
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.references import reversals
from segbench.compare.statistics.scores import ALL_CLASSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


FEWEST_FOR_A_TREE = 5
"""Fewer data sets than this need no tree."""


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        name: of its files.
        title: above it.
        caption: what is seen, and how it was computed.
        svg: to be put into a page.
        width: of the drawing, in CSS pixels.
        dataset: the data set it is of, empty where of all.
        metric: the metric it is of, empty where of none or all.
    """

    name: str
    title: str
    caption: str
    svg: str
    width: float
    dataset: str = ""
    metric: str = ""


@dataclass(frozen=True)
class _Plan:
    name: str
    title: str
    caption: str
    draw: Callable[[], Drawing | None]
    dataset: str = ""
    metric: str = ""


def draw_figures(
    folder: Path, comparison: Comparison, loaded: Loaded, frames: Mapping[str, pd.DataFrame]
) -> list[Figure]:
    """Draw every figure that the scores allow, as PNG and SVG."""
    figures = []
    with styled():
        for plan in _plans(comparison, loaded, frames):
            drawing = plan.draw()
            if drawing is not None:
                svg = save(drawing, folder, plan.name)
                width = natural_width(svg)
                figures.append(Figure(plan.name, plan.title, plan.caption, svg, width, plan.dataset, plan.metric))
    return figures


def _plans(comparison: Comparison, loaded: Loaded, frames: Mapping[str, pd.DataFrame]) -> Iterator[_Plan]:
    yield from _order_plans(comparison)
    yield from _score_plans(comparison)
    metric = comparison.settings.metrics[0]
    if "annotators" in frames and len(frames["annotators"]):
        pairs = reversals(frames["annotators"])
        yield _Plan(
            "annotators",
            "Does the annotator matter?",
            "Place of each method by total rank sum, against each annotator's masks. " + reversal_sentence(pairs),
            partial(annotator_figure, comparison, frames["annotators"], pairs),
        )
    for division in loaded.subgroups:
        yield _Plan(
            _file_name("subgroups", division.dataset, division.column),
            f"{metric_name(metric).capitalize()} by {division.column}: {division.dataset}",
            f"Mean over classes of the cases of each subgroup, with its {_per_cent(comparison)} interval.",
            partial(subgroup_figure, comparison, division, frames["subgroups"], metric),
            division.dataset,
            metric,
        )
    yield from _run_plans(comparison, loaded)


def _order_plans(comparison: Comparison) -> Iterator[_Plan]:
    metric = comparison.settings.metrics[0]
    name = metric_name(metric)
    if any(len(s.cases) > 1 for s in comparison.sets):
        yield _Plan(
            "stability",
            "How stable the order is",
            f"Over {comparison.settings.bootstraps:,} resamples of the test cases: the area of a blob is the share of"
            " resamples in which the method stands at that place by total rank sum, the bar spans"
            f" {_per_cent(comparison)} of them, the white dot is the place in the data themselves.",
            partial(stability_figure, comparison),
        )
    if metric in comparison.friedman:
        unit = "class" if comparison.overall.dataset == ALL_CLASSES else "case"
        yield _Plan(
            "critical_difference",
            f"Mean ranks in {name}",
            f"Friedman's test over every {unit} (mean over classes) with Nemenyi's critical difference: methods under"
            " one bar do not differ significantly. Rank 1 is the best.",
            partial(critical_difference_figure, comparison, metric),
            metric=metric,
        )
        yield _Plan(
            "significance",
            f"Every pair in {name}",
            f"Difference in the {comparison.settings.rule.statistic}, row minus column, on the mean over classes: blue"
            " where the method of the row is significantly better (adjusted by Holm), orange where it is worse, grey"
            " where nothing can be said, pale where the gap is within the seed noise.",
            partial(significance_figure, comparison, metric),
            metric=metric,
        )
    if len(comparison.consensus.data_sets) >= FEWEST_FOR_A_TREE:
        yield _Plan(
            "data_sets",
            "Data sets that order the methods alike",
            "Data sets are joined at the distance of their orders, (1 - Kendall's tau) / 2: 0 is the same order, 1 the"
            " reverse (complete linkage).",
            partial(tree_figure, comparison),
        )
    yield _Plan(
        "rules",
        "Does the ranking rule matter?",
        "Place by total rank sum under every rule: level lines mean that the order does not depend on the rule.",
        partial(rule_figure, comparison),
    )


def _score_plans(comparison: Comparison) -> Iterator[_Plan]:
    for k, scores in enumerate(comparison.sets):
        for metric in comparison.settings.metrics:
            if len(scores.cases) > 1 and metric in scores.metrics:
                yield _Plan(
                    _file_name("scores", scores.name, metric),
                    f"{metric_name(metric).capitalize()} of every case: {scores.name}",
                    "A dot is a test case (mean over seeds), the box its quartiles, the line in it the median; the"
                    f" diamond is the score of the table with its {_per_cent(comparison)} interval.",
                    partial(score_figure, comparison, k, metric),
                    scores.name,
                    metric,
                )
    metric = comparison.settings.metrics[0]
    if comparison.repeated(metric):
        yield _Plan(
            "seeds",
            f"What a seed changes in {metric_name(metric)}",
            "A mark is one seed, the line is their mean. The band around the best method is as wide as seeds alone"
            f" explain (least significant difference, {_per_cent(comparison)}).",
            partial(seed_figure, comparison, metric),
            metric=metric,
        )


def _run_plans(comparison: Comparison, loaded: Loaded) -> Iterator[_Plan]:
    metric = comparison.settings.metrics[0]
    yield _Plan(
        "cost",
        f"What {metric_name(metric)} costs",
        "Mean over classes and data sets against the number of parameters and the time to predict a test case. On the"
        " line lie the methods that no other beats at no higher cost (Pareto front).",
        partial(cost_figure, comparison, loaded.methods, metric),
        metric=metric,
    )
    for dataset in dict.fromkeys(run.dataset for method in loaded.methods for run in method.runs):
        yield _Plan(
            _file_name("curves", dataset),
            f"Learning curves: {dataset}",
            "Mean over the runs of a method (seeds and folds); the band reaches from the lowest to the highest run."
            " Losses of different kinds have no common scale, so each kind has a panel.",
            partial(curve_figure, comparison, loaded.methods, dataset),
            dataset,
        )


def _per_cent(comparison: Comparison) -> str:
    return f"{100 * comparison.settings.confidence:g} %"


def _file_name(*parts: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", "_".join(parts)).strip("_")
