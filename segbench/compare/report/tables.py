"""The comparison table of the field: methods as columns, the classes of each data set as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from segbench.compare.reading.methods import Method
from segbench.compare.report.frames import drop_frame, records, spread
from segbench.compare.request import Uncertainty
from segbench.compare.statistics.comparison import TOTAL, Comparison
from segbench.compare.statistics.scores import MEAN_OF_CLASSES, Row, Scores
from segbench.compare.statistics.ties import Floats

Mark = Literal["best", "second", "alike", ""]
MEANING = "bold: best; underlined: second; †: not significantly worse than the best; in round brackets: rank"
THOUSANDS = 10_000
"""From here on a number of parameters is in thousands, from a hundred times as many on in millions."""


@dataclass(frozen=True)
class Cell:
    """One entry: its text, the number behind it, how it stands out, and its uncertainty in small print."""

    text: str
    value: float
    mark: Mark = ""
    alike: bool = False
    spread: str = ""


@dataclass(frozen=True)
class Line:
    """One row of the table.

    Attributes:
        label: class, or what the numbers are.
        cells: one for each method.
        kind: "score", "mean", "sum" and "total" (of ranks), "first", "drop", "change", "cost" or "count".
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
        title: what it shows.
    """

    columns: tuple[str, ...]
    sections: tuple[Section, ...]
    caption: str
    notes: tuple[str, ...] = ()
    title: str = ""


def comparison_table(
    comparison: Comparison, methods: Sequence[Method], metrics: Sequence[str], uncertainty: Uncertainty = "interval"
) -> Table:
    """Scores with their ranks and uncertainty, then rank sums and costs, as published comparisons print them.

    Args:
        comparison: the result.
        methods: for their costs and seeds.
        metrics: which scores are shown; rank sums are of the metrics in the comparison's settings.
        uncertainty: behind each score: its interval, the standard deviation over the cases, or none.
    """
    order = comparison.order
    sections = [_data_section(comparison, k, metrics, order, uncertainty) for k in range(len(comparison.sets))]
    facts = _sum_lines(comparison, order, uncertainty)
    shares = {"smallest rank sum in": comparison.total.first, f"{comparison.best_score_is} in": comparison.best_score}
    for label, share in shares.items():
        if not np.isnan(share).all():
            facts.append(Line(label, tuple(Cell(_percent(float(v)), float(v)) for v in share[order]), "first"))
    facts += _drop_lines(comparison, metrics, order)
    facts += cost_lines([methods[k] for k in order])
    facts += _repetition_lines([methods[k] for k in order])
    title = "all data sets" if sum(s.split == "test" for s in comparison.sets) > 1 else "methods"
    names = tuple(comparison.methods[k] for k in order)
    everything = (*sections, *([Section(title, tuple(facts))] if facts else []))
    notes = _doubts(comparison, metrics) if uncertainty == "interval" else ()
    return Table(names, everything, _legend(comparison, metrics, uncertainty), notes, _title(comparison, metrics))


def _title(comparison: Comparison, metrics: Sequence[str]) -> str:
    names = [s.name for s in comparison.sets]
    shown = _and([metric_name(metric) for metric in metrics])
    return f"{shown[:1].upper()}{shown[1:]} of {len(comparison.methods)} methods on {_and(names)}"


def _legend(comparison: Comparison, metrics: Sequence[str], uncertainty: Uncertainty) -> str:
    """The legend of the table: marks, brackets, n."""
    parts = [f"{comparison.settings.rule.shown} over the n test cases", MEANING]
    used = dict.fromkeys(
        name
        for scores, intervals in zip(comparison.sets, comparison.intervals, strict=True)
        for name in intervals.method[_shown_rows(scores, metrics)].ravel()
        if name
    )
    if uncertainty == "interval" and used:
        parts.append(f"in square brackets: {100 * comparison.settings.confidence:g} % interval ({_and(list(used))})")
    if uncertainty == "sd":
        parts.append("±: standard deviation over the cases")
    return "; ".join(parts)


def _doubts(comparison: Comparison, metrics: Sequence[str]) -> tuple[str, ...]:
    """The reasons for which intervals cannot be taken at their word, each once."""
    doubts = {
        f"{scores.name}: {warning}": None
        for scores, intervals in zip(comparison.sets, comparison.intervals, strict=True)
        for text in intervals.warning[_shown_rows(scores, metrics)].ravel()
        for warning in filter(None, text.split("; "))
    }
    return tuple(doubts)


def _shown_rows(scores: Scores, metrics: Sequence[str]) -> np.ndarray:
    """(R + K) true for the rows and means over classes of some metrics."""
    return np.concatenate([scores.chosen(metrics), [metric in metrics for metric in scores.metrics]])


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _data_section(
    comparison: Comparison, k: int, metrics: Sequence[str], order: Sequence[int], uncertainty: Uncertainty
) -> Section:
    scores, summary, ranks = comparison.sets[k], comparison.summaries[k], comparison.ranks[k]
    shown = [m for m in metrics if m in scores.metrics]
    spreads = _spreads(comparison, k, uncertainty)
    lines = []
    for metric in shown:
        suffix = f" ({metric_name(metric)})" if len(shown) > 1 else ""
        rows = np.flatnonzero(scores.chosen([metric]))
        for row in rows:
            alike = _alike(comparison, scores, scores.rows[row], summary[row])
            cells = _score_cells(summary[row], bool(scores.larger[row]), alike, spreads[row], ranks[row])
            label = scores.rows[row].label + suffix + _few(scores, int(row))
            lines.append(Line(label, tuple(cells[m] for m in order), "score"))
        if len(rows) > 1:
            place = len(scores.rows) + scores.metrics.index(metric)
            means = summary[place]
            alike = _alike(comparison, comparison.means[k], Row(metric, MEAN_OF_CLASSES), means)
            cells = _score_cells(means, bool(scores.larger[rows[0]]), alike, spreads[place])
            lines.append(Line(f"mean{suffix}", tuple(cells[m] for m in order), "mean"))
    title = scores.name if len(shown) != 1 else f"{scores.name}, {metric_name(shown[0])}"
    return Section(f"{title}, n = {len(scores.cases)}{_groups(scores)}", tuple(lines))


def _groups(scores: Scores) -> str:
    count = len(set(scores.groups.tolist()))
    return f" in {count} group{'s' * (count > 1)}" if count < len(scores.cases) else ""


def _few(scores: Scores, row: int) -> str:
    """The number of cases that have a score, where it is not all of them."""
    known = int(np.count_nonzero(~np.isnan(scores.values[row]).all(axis=0)))
    return f" (n = {known})" if known < len(scores.cases) else ""


def _spreads(comparison: Comparison, k: int, uncertainty: Uncertainty) -> list[list[str]]:
    """The uncertainty of each summary of a data set, by row and method; empty texts where there is none."""
    low, high = comparison.intervals[k].low, comparison.intervals[k].high
    if uncertainty == "interval":
        return [[bracket(a, b) for a, b in zip(*ends, strict=True)] for ends in zip(low, high, strict=True)]
    if uncertainty == "sd":
        deviations = np.concatenate([spread(v) for v in (*comparison.sets[k].values, *comparison.means[k].values)])
        return [[f"± {score(d)}" if np.isfinite(d) else "" for d in row] for row in deviations.reshape(low.shape)]
    return [[""] * low.shape[1]] * len(low)


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


def _score_cells(
    values: Floats, larger: bool, alike: np.ndarray, spreads: Sequence[str], ranks: Floats | None = None
) -> list[Cell]:
    marks = _marks(values, larger)
    ranked = [""] * len(values) if ranks is None else [f" ({number(r)})" if np.isfinite(r) else "" for r in ranks]
    return [
        Cell(score(v) + rank, float(v), mark, bool(a), around)
        for v, rank, mark, a, around in zip(values, ranked, marks, alike, spreads, strict=True)
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


def _sum_line(
    comparison: Comparison, name: str, label: str, order: Sequence[int], kind: str, uncertainty: Uncertainty
) -> Line:
    standing = comparison.standings[name]
    line = _line(label, standing.rank_sums[order], number, kind, larger=False)
    if uncertainty != "interval":
        return line
    ends = zip(line.cells, standing.low[order], standing.high[order], strict=True)
    return replace(line, cells=tuple(replace(cell, spread=bracket(low, high, number)) for cell, low, high in ends))


def _sum_lines(comparison: Comparison, order: Sequence[int], uncertainty: Uncertainty) -> list[Line]:
    """The rank sums of each data set, then their total over the data sets seen in training."""
    ranked = [s for s in comparison.sets if set(comparison.settings.metrics) & set(s.metrics)]
    seen = [s for s in ranked if s.split == "test"]
    if len(seen) == 1:  # its sum is the total
        lines = [_sum_line(comparison, seen[0].name, "rank sum", order, "total", uncertainty)]
        ranked.remove(seen[0])
        return lines + [_sum_line(comparison, s.name, f"rank sum {s.name}", order, "sum", uncertainty) for s in ranked]
    lines = [_sum_line(comparison, s.name, f"rank sum {s.name}", order, "sum", uncertainty) for s in ranked]
    return [*lines, _sum_line(comparison, TOTAL, "total rank sum", order, "total", uncertainty)]


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


def cost_lines(methods: Sequence[Method]) -> list[Line]:
    """Parameters, times and the generalisation gap of each method.

    Neither a gap, of which the most negative one is no virtue, nor a cost of nothing is marked as the best.
    """
    lines = []
    for label, key, text in (
        ("parameters", "parameters", parameters),
        ("run time (s)", "seconds_per_case", seconds),
        ("training time (s)", "train_seconds", seconds),
    ):
        values = np.array([method.cost(key) for method in methods])
        if not np.isnan(values).all():
            line = _line(label, np.where(values > 0, values, np.nan), text, "cost", larger=False)
            cells = zip(line.cells, values, strict=True)
            lines.append(replace(line, cells=tuple(replace(c, text=text(v), value=float(v)) for c, v in cells)))
    gaps = np.array([method.gap for method in methods])
    if not np.isnan(gaps).all():
        lines.append(Line("generalisation gap", tuple(Cell(signed(gap), float(gap)) for gap in gaps), "cost"))
    return lines


def _repetition_lines(methods: Sequence[Method]) -> list[Line]:
    """The number of seeds of each method, and of folds where there are several."""
    if not any(method.runs for method in methods):
        return []
    counts = {"seeds": [len(m.seeds) for m in methods], "folds": [len(m.folds) for m in methods]}
    return [
        Line(label, tuple(Cell(str(n) if n else "–", float(n)) for n in of_method), "count")
        for label, of_method in counts.items()
        if label == "seeds" or max(of_method) > 1
    ]


def metric_name(metric: str) -> str:
    """A metric as a reader sees it."""
    return metric.replace("_", " ")


def score(value: float) -> str:
    """Three decimals, fewer for large numbers, a dash where there is none."""
    if not np.isfinite(value):
        return "–"
    return f"{value if round(value, 3) else 0.0:.3f}" if abs(value) < 100 else f"{value:.0f}"


def number(value: float) -> str:
    """A rank or rank sum: without decimals where it has none."""
    return f"{value:.4g}" if np.isfinite(value) else "–"


def bracket(low: float, high: float, text: Callable[[float], str] = score) -> str:
    """An interval in square brackets, nothing where there is none."""
    return f"[{text(low)}, {text(high)}]" if np.isfinite(low) and np.isfinite(high) else ""


def parameters(value: float) -> str:
    """A number of parameters: 1,692, 484 k, 14.3 M."""
    if not np.isfinite(value):
        return "–"
    if value < THOUSANDS:
        return f"{value:,.0f}"
    if value < 100 * THOUSANDS - 500:
        return f"{value / 1e3:.0f} k"
    return f"{value / 1e6:.1f} M" if value < 99.95e6 else f"{value / 1e6:.0f} M"


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
