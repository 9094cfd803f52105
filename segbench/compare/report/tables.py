"""The comparison table of the field: methods as columns, the classes of each data set as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segbench.compare.reading.methods import Method
from segbench.compare.reading.naming import suggestion
from segbench.compare.report.frames import drop_frame, records
from segbench.compare.statistics.comparison import TOTAL, Comparison
from segbench.compare.statistics.scores import MEAN_OF_CLASSES, Row, Scores
from segbench.compare.statistics.ties import Floats
from segbench.errors import UserError

Mark = Literal["best", "second", "alike", ""]
MEANING = "bold: best; underlined: second; †: not significantly worse than the best; in brackets: rank"


@dataclass(frozen=True)
class Cell:
    """One entry: its text, the number behind it, and how it stands out."""

    text: str
    value: float
    mark: Mark = ""
    alike: bool = False


@dataclass(frozen=True)
class Line:
    """One row of the table.

    Attributes:
        label: class, or what the numbers are.
        cells: one for each method.
        kind: "score", "mean", "sum" and "total" (of ranks), "first", "drop", "change" or "cost".
    """

    label: str
    cells: tuple[Cell, ...]
    kind: str


@dataclass(frozen=True)
class Section:
    """The rows of one data set, or of what concerns all."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """Sections over the same columns.

    Attributes:
        columns: the methods.
        sections: of rows.
        caption: how to read it.
        notes: what stands below it, such as runs that failed.
    """

    columns: tuple[str, ...]
    sections: tuple[Section, ...]
    caption: str
    notes: tuple[str, ...] = ()


def comparison_table(comparison: Comparison, methods: Sequence[Method], metrics: Sequence[str]) -> Table:
    """Scores with their ranks, then rank sums and costs, as published comparisons print them.

    Args:
        comparison: the result.
        methods: for their costs.
        metrics: which scores are shown; rank sums are of the metrics in the comparison's settings.
    """
    order = comparison.order
    sections = [_data_section(comparison, k, metrics, order) for k in range(len(comparison.sets))]
    facts = _sum_lines(comparison, order)
    first = comparison.total.first
    if not np.isnan(first).all():
        facts.append(Line("first in", tuple(Cell(_percent(float(v)), float(v)) for v in first[order]), "first"))
    facts += _drop_lines(comparison, metrics, order)
    facts += _cost_lines([methods[k] for k in order])
    title = "all data sets" if sum(s.split == "test" for s in comparison.sets) > 1 else "methods"
    names = tuple(comparison.methods[k] for k in order)
    return Table(names, (*sections, *([Section(title, tuple(facts))] if facts else [])), MEANING)


def _data_section(comparison: Comparison, k: int, metrics: Sequence[str], order: Sequence[int]) -> Section:
    scores, summary, ranks = comparison.sets[k], comparison.summaries[k], comparison.ranks[k]
    shown = [m for m in metrics if m in scores.metrics]
    lines = []
    for metric in shown:
        suffix = f" ({metric_name(metric)})" if len(shown) > 1 else ""
        rows = np.flatnonzero(scores.chosen([metric]))
        for row in rows:
            alike = _alike(comparison, scores, scores.rows[row], summary[row])
            cells = _score_cells(summary[row], bool(scores.larger[row]), alike, ranks[row])
            lines.append(Line(scores.rows[row].label + suffix, tuple(cells[m] for m in order), "score"))
        if len(rows) > 1:
            means = summary[len(scores.rows) + scores.metrics.index(metric)]
            alike = _alike(comparison, comparison.means[k], Row(metric, MEAN_OF_CLASSES), means)
            cells = _score_cells(means, bool(scores.larger[rows[0]]), alike)
            lines.append(Line(f"mean{suffix}", tuple(cells[m] for m in order), "mean"))
    title = scores.name if len(shown) != 1 else f"{scores.name}, {metric_name(shown[0])}"
    return Section(title, tuple(lines))


def _alike(comparison: Comparison, scores: Scores, row: Row, summary: Floats) -> np.ndarray:
    """(M,) true where a method is not significantly worse than the best, or seeds explain the gap."""
    nothing = np.zeros(len(summary), dtype=bool)
    p, within = (comparison.matrix(scores, row, column) for column in ("p_holm", "within_seed_noise"))
    if p is None or within is None or np.isnan(summary).all():
        return nothing
    larger = bool(scores.larger[scores.rows.index(row)])
    best = int(np.nanargmax(summary) if larger else np.nanargmin(summary))
    with np.errstate(invalid="ignore"):
        alike = (p[best] >= comparison.settings.level) | (within[best] == 1)
    alike[best] = False
    return np.asarray(alike)


def _score_cells(values: Floats, larger: bool, alike: np.ndarray, ranks: Floats | None = None) -> list[Cell]:
    marks = _marks(values, larger)
    ranked = [""] * len(values) if ranks is None else [f" ({number(r)})" if np.isfinite(r) else "" for r in ranks]
    return [
        Cell(score(v) + rank, float(v), mark, bool(a))
        for v, rank, mark, a in zip(values, ranked, marks, alike, strict=True)
    ]


def _marks(values: Floats, larger: bool) -> list[Mark]:
    """Best and second of a row, equals alike; nothing where all are equal."""
    known = np.unique(np.round(values[np.isfinite(values)], 12))
    if len(known) < 2:
        return [""] * len(values)
    best, second = (known[-1], known[-2]) if larger else (known[0], known[1])
    names: dict[float, Mark] = {float(best): "best", float(second): "second"}
    return [names.get(float(v), "") for v in np.round(values, 12)]


def _line(label: str, values: Floats, text: Callable[[float], str], kind: str, larger: bool = True) -> Line:
    cells = zip(values, _marks(values, larger), strict=True)
    return Line(label, tuple(Cell(text(float(v)), float(v), mark) for v, mark in cells), kind)


def _sum_line(comparison: Comparison, name: str, label: str, order: Sequence[int], kind: str) -> Line:
    return _line(label, comparison.standings[name].rank_sums[order], number, kind, larger=False)


def _sum_lines(comparison: Comparison, order: Sequence[int]) -> list[Line]:
    """The rank sums of each data set, then their total over the data sets seen in training."""
    ranked = [s for s in comparison.sets if set(comparison.settings.metrics) & set(s.metrics)]
    seen = [s for s in ranked if s.split == "test"]
    if len(seen) == 1:  # its sum is the total
        lines = [_sum_line(comparison, seen[0].name, "rank sum", order, "total")]
        ranked.remove(seen[0])
        return lines + [_sum_line(comparison, s.name, f"rank sum {s.name}", order, "sum") for s in ranked]
    lines = [_sum_line(comparison, s.name, f"rank sum {s.name}", order, "sum") for s in ranked]
    return [*lines, _sum_line(comparison, TOTAL, "total rank sum", order, "total")]


def _drop_lines(comparison: Comparison, metrics: Sequence[str], order: Sequence[int]) -> list[Line]:
    by_pair: dict[tuple[str, str, str], list[float]] = {}
    for line in records(drop_frame(comparison)):
        by_pair.setdefault((line["trained_on"], line["unseen"], line["metric"]), []).append(line["drop"])
    return [
        _line(
            f"drop in {metric_name(metric)} from {home} to {unseen}",
            np.array(drops)[order],
            signed,
            "drop",
            larger=False,
        )
        for (home, unseen, metric), drops in by_pair.items()
        if metric in metrics
    ]


def _cost_lines(methods: Sequence[Method]) -> list[Line]:
    lines = []
    for label, key, scale, text in (
        ("parameters (M)", "parameters", 1e-6, _two_digits),
        ("run time (s)", "seconds_per_case", 1.0, seconds),
        ("training time (s)", "train_seconds", 1.0, seconds),
    ):
        values = np.array([method.cost(key) * scale for method in methods])
        if not np.isnan(values).all():
            lines.append(_line(label, values, text, "cost", larger=False))
    gaps = np.array([method.gap for method in methods])
    if not np.isnan(gaps).all():
        lines.append(_line("generalisation gap", gaps, signed, "cost", larger=False))
    return lines


def relative_table(comparison: Comparison, baseline: str, metric: str) -> Table:
    """The form of an ablation: the baseline's absolute score, then the others in per cent of it.

    Methods are rows and data sets (mean over classes) are columns; the last column is the mean change.

    Raises:
        UserError: if there is no such method.
    """
    if baseline not in comparison.methods:
        raise UserError(f"baseline={baseline}: no such method{suggestion(baseline, comparison.methods)}")
    chosen = [k for k, s in enumerate(comparison.sets) if metric in s.metrics]
    scores = np.stack(
        [
            comparison.summaries[k][len(comparison.sets[k].rows) + comparison.sets[k].metrics.index(metric)]
            for k in chosen
        ]
    )
    base = comparison.methods.index(baseline)
    change = relative_change(scores, base)
    lines = [
        Line(
            f"{baseline} ({metric_name(metric)})",
            tuple(Cell(score(v), float(v)) for v in scores[:, base]),
            "score",
        )
    ]
    for k in comparison.order:
        if k != base:
            cells = tuple(Cell(percent(v), float(v)) for v in change[:, k])
            lines.append(Line(comparison.methods[k], cells, "change"))
    columns = tuple(comparison.sets[k].name for k in chosen)
    return Table(
        columns,
        (Section("", tuple(lines)),),
        f"first row absolute, others relative to '{baseline}' in per cent",
    )


def relative_change(scores: Floats, baseline: int) -> Floats:
    """100 (s - b) / |b| of scores (..., M) against that of one method; NaN where the baseline scores 0."""
    base = scores[..., [baseline]]
    return np.asarray(100 * np.divide(scores - base, np.abs(base), out=np.full_like(scores, np.nan), where=base != 0))


def metric_name(metric: str) -> str:
    """A metric as a reader sees it."""
    return metric.replace("_", " ")


def score(value: float) -> str:
    """Three decimals, fewer for large numbers, a dash where there is none."""
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def number(value: float) -> str:
    """A rank or rank sum: without decimals where it has none."""
    return f"{value:.4g}" if np.isfinite(value) else "–"


def percent(value: float) -> str:
    """One decimal and the sign as in published ablations: 1.0%, -0.1%."""
    return f"{value if round(value, 1) else 0.0:.1f}%" if np.isfinite(value) else "–"


def signed(value: float) -> str:
    """Three decimals and always a sign."""
    return f"{value if round(value, 3) else 0.0:+.3f}" if np.isfinite(value) else "–"


def seconds(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if np.isfinite(value) and value < 100 else f"{value:.0f}" if np.isfinite(value) else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "–"


def _two_digits(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"
