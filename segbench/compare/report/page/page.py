"""report.html: the whole comparison on one page that opens without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from segbench import __version__
from segbench.compare.reading.methods import Loaded
from segbench.compare.report.case_sizes import volume_text
from segbench.compare.report.gallery import Figure
from segbench.compare.report.metric_choice import advice_section
from segbench.compare.report.page.cases import case_section
from segbench.compare.report.page.explanations import explain
from segbench.compare.report.page.markup import join, tag
from segbench.compare.report.page.runs import difference_section, run_section
from segbench.compare.report.page.subgroups import subgroup_section
from segbench.compare.report.page.tables import (
    pair_section,
    plain_table,
    ranking_section,
    rule_section,
    score_section,
)
from segbench.compare.report.tables import Table, metric_name
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.verdict import Verdict


@dataclass(frozen=True)
class Contents:
    """The content of the page."""

    comparison: Comparison
    loaded: Loaded
    verdict: Verdict
    table: Table
    relative: Table | None
    frames: Mapping[str, pd.DataFrame]
    figures: Sequence[Figure]


def write_report(path: Path, contents: Contents) -> None:
    """Write the page."""
    path.write_text(page(contents), encoding="utf-8")


def page(contents: Contents) -> str:
    """The page as text."""
    comparison, loaded = contents.comparison, contents.loaded
    sections = [
        ("ranking", "Ranking", ranking_section(comparison, contents.frames)),
        ("table", "Table", _table_section(contents)),
        ("figures", "Figures", _figure_section(contents.figures)),
        ("scores", "Scores", score_section(comparison, contents.frames)),
        ("pairs", "Pairs", pair_section(comparison)),
        ("rules", "Rules", rule_section(comparison)),
        ("subgroups", "Subgroups", subgroup_section(comparison, loaded.subgroups, contents.frames)),
        ("metrics", "Metrics", advice_section(loaded)),
        ("cases", "Worst cases", case_section(comparison, loaded.methods)),
        ("differences", "Configurations", difference_section(loaded.methods)),
        ("runs", "Runs", run_section(loaded)),
        ("method", "How computed", _explanations(comparison)),
    ]
    shown = [(key, title, body) for key, title, body in sections if body]
    links = [tag("a", title, href=f"#{key}") for key, title, _ in shown]
    body = [tag("section", tag("h2", title), body, id=key) for key, title, body in shown]
    title = f"Comparison of {_count(len(comparison.methods), 'method')}{_places(loaded.places)}"
    return Markup("<!doctype html>\n") + tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", title),
            tag("style", Markup(_asset("page.css"))),
        ),
        tag(
            "body",
            tag(
                "header",
                tag("h1", title),
                _summary_line(comparison, loaded),
                _banner(contents.verdict),
                _notes(contents),
            ),
            tag("nav", links, _filters(comparison)),
            tag("main", body),
            tag(
                "footer",
                f"segbench {__version__}. Every number can be traced to the CSV files beside this page.",
            ),
            tag("script", Markup(_asset("page.js"))),
        ),
        lang="en",
    )


def _places(names: Sequence[str]) -> str:
    return f" in {' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}" if names else ""


def _asset(name: str) -> str:
    return resources.files("segbench.compare.report.page").joinpath(name).read_text(encoding="utf-8")


def _summary_line(comparison: Comparison, loaded: Loaded) -> Markup:
    settings = comparison.settings
    runs = [run for method in loaded.methods for run in method.runs]
    sizes = [volume_text(runs, s.dataset) for s in comparison.sets]
    seen = [
        f"{s.name} ({_count(len(s.cases), 'case')}{f'; {size}' if size else ''})"
        for s, size in zip(comparison.sets, sizes, strict=True)
    ]
    facts = [
        ", ".join(seen),
        f"ranked by {settings.ranking.replace('_', ' ')} of {', '.join(map(metric_name, settings.metrics))}",
    ]
    if np.isfinite(comparison.total.tau[0]):
        median, low, high = comparison.total.tau
        facts.append(f"{settings.bootstraps:,} resamples, Kendall's tau {median:.2f} ({low:.2f} to {high:.2f})")
    return tag("p", " · ".join(facts), class_="facts")


def _banner(verdict: Verdict) -> Markup:
    kind = "decided" if verdict.decided else "open"
    return tag(
        "p",
        tag("strong", "Decided. " if verdict.decided else "Open. "),
        verdict.sentence,
        class_=f"verdict {kind}",
    )


def _notes(contents: Contents) -> Markup | None:
    notes = [*contents.loaded.notes, *contents.comparison.notes]
    return tag("ul", [tag("li", note) for note in notes], class_="notes") if notes else None


def _filters(comparison: Comparison) -> Markup | None:
    """Selection of the data set and metric that the page shows."""
    chosen = []
    names = [s.name for s in comparison.sets]
    metrics = list(dict.fromkeys(m for s in comparison.sets for m in s.metrics))
    for key, label, options in (("dataset", "Data set", names), ("metric", "Metric", metrics)):
        if len(options) > 1:
            entries = [
                tag("option", "all", value=""),
                *(tag("option", metric_name(o), value=o) for o in options),
            ]
            chosen.append(tag("label", f"{label} ", tag("select", entries, data_filter=key)))
    return tag("span", chosen, class_="filters") if chosen else None


def _table_section(contents: Contents) -> Markup:
    parts = [tag("p", contents.table.caption, class_="hint"), plain_table(contents.table, "data set")]
    if contents.relative is not None:
        parts += [tag("h3", "Relative to the baseline"), tag("p", contents.relative.caption, class_="hint")]
        parts.append(plain_table(contents.relative, ""))
    return join(parts)


def _figure_section(figures: Sequence[Figure]) -> Markup:
    return tag(
        "div",
        [
            tag(
                "figure",
                tag("h3", figure.title),
                tag("div", Markup(figure.svg), class_="drawing", role="img", aria_label=figure.title),
                tag("figcaption", figure.caption),
                style=f"--natural: {figure.width:.0f}px",
                data_dataset=figure.dataset or None,
                data_metric=figure.metric or None,
            )
            for figure in figures
        ],
        class_="figures",
    )


def _explanations(comparison: Comparison) -> Markup:
    return tag("dl", [[tag("dt", name), tag("dd", text)] for name, text in explain(comparison.settings)])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
