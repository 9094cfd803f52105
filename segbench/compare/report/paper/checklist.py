"""Reporting guidelines as a checklist: answered where the records do, open where only the authors can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

import yaml

from segbench.compare.reading.methods import Loaded
from segbench.compare.report.paper.methods_text import Paragraph
from segbench.compare.statistics.comparison import Comparison

HEAD = """# Checklist

Items of CLAIM (2024), Metrics Reloaded and TRIPOD+AI that apply to a comparison of methods, in short; the guidelines
themselves have them in full. `[x]`: answered by the records, at the place named. `[ ]`: for the authors.
"""


def checklist(comparison: Comparison, loaded: Loaded, paragraphs: Sequence[Paragraph], more: Mapping[str, str]) -> str:
    """The checklist in Markdown.

    Args:
        comparison: the result.
        loaded: what it is of.
        paragraphs: of the methods text.
        more: further places that answer something, by the word that checklist.yaml has for them.
    """
    places = {part.title: f"methods.md, {part.title}" for part in paragraphs} | _places(comparison, loaded) | dict(more)
    lines = [HEAD]
    for name, items in _guidelines().items():
        lines += [f"\n## {name}\n"]
        for item, answered_by in items.items():
            answers = [places[key] for key in answered_by if key in places]
            lines.append(f"- [{'x' if answers else ' '}] {item}{' -> ' * bool(answers)}{'; '.join(answers)}")
    return "\n".join(lines) + "\n"


def _guidelines() -> dict[str, dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("checklist.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, list[str]]] = yaml.safe_load(text)
    return loaded


def _places(comparison: Comparison, loaded: Loaded) -> dict[str, str]:
    """The parts of the comparison that answer something, where they are there."""
    ranked = comparison.settings.metrics
    places = {
        "table": "table.md, table.tex",
        "rules": "report.html, Rules",
        "cases": "report.html, Worst cases",
        "reproduce": "reproduce.sh",
    }
    if any(method.runs for method in loaded.methods):
        places["config"] = "config.yaml of each run"
    if any(run.record["dataset"].get("structures") for method in loaded.methods for run in method.runs):
        places["advice"] = "report.html, Metrics"
    if loaded.references:
        places["annotators"] = "report.html, Figures: Does the annotator matter?"
    if loaded.subgroups:
        places["subgroups"] = "report.html, Subgroups"
    if any(s.split != "test" for s in comparison.sets):
        places["unseen"] = "table.md, data sets unseen in training"
    if len(ranked) > 1:
        places["families"] = f"ranked by {', '.join(ranked)}"
    return places
