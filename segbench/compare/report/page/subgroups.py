"""Subgroups of the cases on the page: scores and ranks within each, and whether they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from segbench.compare.report.frames import records
from segbench.compare.report.page.markup import join, tag
from segbench.compare.report.page.tables import cell, interval, sortable, swatch
from segbench.compare.report.tables import metric_name, number, score
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.scores import MEAN_OF_CLASSES
from segbench.compare.statistics.subgroups import Subgroups


def subgroup_section(
    comparison: Comparison, divisions: Sequence[Subgroups], frames: Mapping[str, pd.DataFrame]
) -> Markup | None:
    """A table for each column: methods by subgroups, in the first metric."""
    if not divisions:
        return None
    metric = comparison.settings.metrics[0]
    hint = (
        f"Mean {metric_name(metric)} over the classes, its interval, and the rank within the subgroup. The test"
        " compares the scores of a method between the subgroups. subgroup_tests.csv also has every pair of methods, and"
        " subgroups.csv every class."
    )
    return join(tag("p", hint, class_="hint"), [_table(comparison, one, frames, metric) for one in divisions])


def _table(comparison: Comparison, one: Subgroups, frames: Mapping[str, pd.DataFrame], metric: str) -> Markup:
    scores, tests = (_of(frames[name], one, metric) for name in ("subgroups", "subgroup_tests"))
    lines = {(x["method"], x["subgroup"]): x for x in records(scores[scores["class"] == MEAN_OF_CLASSES])}
    alone = {x["method"]: x for x in records(tests[tests["other"] == ""])}
    counts = np.bincount(one.members, minlength=len(one.names))
    rows = []
    for k in comparison.order:
        method = comparison.methods[k]
        cells = []
        for name in one.names:
            line = lines[method, name]
            shown = f"{score(line['score'])} ({number(line['rank'])})"
            cells.append(cell([shown, interval(line["low"], line["high"])], line["score"]))
        test = alone[method]
        cells.append(cell(score(test["gap"]), test["gap"]))
        p = float(test["p_holm"])
        cells.append(cell(_p(p), p, class_="claim" if p < comparison.settings.level else None))
        rows.append(tag("tr", tag("th", swatch(comparison, method), scope="row", data_value=method), cells))
    heads = ["method", *(f"{name} (n = {count})" for name, count in zip(one.names, counts, strict=True))]
    title = tag("h3", f"{one.dataset}, {one.column}")
    table = sortable([*heads, "gap", "p (Holm)"], rows)
    return tag("div", title, table, data_dataset=one.dataset)


def _of(frame: pd.DataFrame, one: Subgroups, metric: str) -> pd.DataFrame:
    here = (frame["column"] == one.column) & (frame["dataset"] == one.dataset) & (frame["metric"] == metric)
    return frame[here]


def _p(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) else "–"
