"""The worst cases of each method, side by side, with the previews that the runs kept."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from segbench.compare.reading.methods import Method
from segbench.compare.reading.runs import Run
from segbench.compare.report.page.markup import join, tag
from segbench.compare.report.page.tables import cell, sortable, swatch
from segbench.compare.report.tables import metric_name, score
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.scores import Scores

WORST = 3
"""Worst cases of each method that are listed."""
WIDTH = 860
"""Pixels of an embedded preview."""
PREVIEWS = ("worst", "median", "best", "montage")


def case_section(comparison: Comparison, methods: Sequence[Method]) -> Markup | None:
    """The worst cases of every method on each data set with all methods' scores, then pictures."""
    metric = comparison.settings.metrics[0]
    parts = [
        _of_data_set(comparison, means, methods, metric)
        for means in comparison.means
        if len(means.cases) > 1 and metric in means.metrics and means.split == "test"
    ]
    hint = (
        f"The {WORST} worst cases of each method by {metric_name(metric)} (mean over classes), and how every other"
        " method does on them."
    )
    return join(tag("p", hint, class_="hint"), parts) if parts else None


def _of_data_set(comparison: Comparison, means: Scores, methods: Sequence[Method], metric: str) -> Markup:
    row = means.metrics.index(metric)
    values = means.values[row] if means.larger[row] else -means.values[row]
    listed = np.argsort(values, axis=1)[:, :WORST]
    cases = [case for case in np.argsort(np.nanmean(values, axis=0)) if (listed == case).any()]
    order = comparison.order
    rows = []
    for case in cases:
        cells = []
        for m in order:
            worst = case in listed[m]
            shown = score(means.values[row, m, case])
            cells.append(
                cell(
                    tag("b", shown) if worst else shown,
                    means.values[row, m, case],
                    class_="worst" if worst else None,
                )
            )
        rows.append(tag("tr", tag("th", means.cases[case], scope="row", data_value=means.cases[case]), cells))
    heads = ["case", *(comparison.methods[m] for m in order)]
    pictures = [picture for m in order if (picture := _pictures(comparison, methods[m], means))]
    gallery = (
        tag("div", pictures, class_="gallery") if pictures else tag("p", "The runs kept no previews.", class_="hint")
    )
    return tag("div", tag("h3", means.name), sortable(heads, rows), gallery, data_dataset=means.name)


def _pictures(comparison: Comparison, method: Method, means: Scores) -> Markup | None:
    """The worst preview of the method's first run on the data set, the others folded away."""
    run = next(
        (run for run in method.runs if run.dataset == means.dataset and (run.path / "previews").is_dir()),
        None,
    )
    if run is None:
        return None
    pictures = {place: path for place in PREVIEWS if (path := run.path / "previews" / f"{place}.png").exists()}
    if not pictures:
        return None
    cases = preview_cases(run)
    drawn = {place: _image(path, f"{method.name}: {place}") for place, path in pictures.items()}
    if "median" in cases:
        cases["montage"] = cases["median"]
    named = {place: f" {cases[place]}" if place in cases else "" for place in drawn}
    captions = {place: f"{place} case{named[place]}, seed {run.record['seed']}" for place in drawn}
    first, *others = drawn
    folded = [tag("div", drawn[place], tag("small", captions[place])) for place in others]
    more = tag("details", tag("summary", " and ".join(others)), folded) if others else None
    return tag(
        "figure",
        tag("h4", swatch(comparison, method.name)),
        drawn[first],
        tag("figcaption", captions[first]),
        more,
    )


def preview_cases(run: Run) -> dict[str, str]:
    """The case that each preview shows: chosen by the mean of the first metric of cases.csv."""
    table = pd.read_csv(run.path / "cases.csv", dtype={"case": str})
    chosen = table[table["metric"] == table["metric"].iloc[0]].groupby("case")["value"].mean().dropna().sort_values()
    if chosen.empty:
        return {}
    places = {"worst": 0, "median": (len(chosen) - 1) // 2, "best": len(chosen) - 1}
    return {place: str(chosen.index[position]) for place, position in places.items()}


def _image(path: Path, title: str) -> Markup:
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB")
        if small.width > WIDTH:
            small = small.resize((WIDTH, round(small.height * WIDTH / small.width)))
        buffer = io.BytesIO()
        small.save(buffer, format="JPEG", quality=82)
    data = base64.b64encode(buffer.getvalue()).decode()
    return tag(
        "img",
        src=f"data:image/jpeg;base64,{data}",
        alt=title,
        width=small.width,
        height=small.height,
        loading="lazy",
    )
