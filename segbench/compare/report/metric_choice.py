"""The choice of the metrics that a ranking rests on: what the data make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from segbench.compare.reading.methods import Loaded
from segbench.compare.report.page.markup import join, tag
from segbench.compare.statistics.comparison import Comparison
from segbench.data.metric_advice import advise, misleading


def metric_warnings(comparison: Comparison, loaded: Loaded) -> list[str]:
    """A note for each metric of the ranking that the structures of a data set make misleading."""
    metrics = comparison.settings.metrics
    return [f"{name}: {text}" for name, found in _structures(loaded) for text in misleading(metrics, found)]


def advice_section(loaded: Loaded) -> Markup | None:
    """The advice for each data set, as `prepare` gives it; None where no run recorded its structures."""
    parts = []
    for name, found in _structures(loaded):
        items = [
            tag("li", tag("strong", ", ".join(a.classes)), f": {a.reason}; {', '.join(a.use)}{a.preset}")
            for a in advise(found)
        ]
        parts.append(
            join(tag("h3", name), tag("ul", items) if items else tag("p", "Nothing speaks against any of them."))
        )
    hint = (
        "What the structures of the data ask of a metric, after Metrics Reloaded (Maier-Hein, Reinke et al. 2024), by"
        " limits that are conventions. The question that the segmentation answers may ask for others."
    )
    return join(tag("p", hint, class_="hint"), parts) if parts else None


def _structures(loaded: Loaded) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The recorded structures of each data set, as the first run that has some recorded them."""
    seen = set()
    for method in loaded.methods:
        for run in method.runs:
            found = run.record["dataset"].get("structures")
            if found and run.dataset not in seen:
                seen.add(run.dataset)
                yield run.dataset, found
