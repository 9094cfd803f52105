"""The form of an ablation: all methods in per cent of one."""

from __future__ import annotations

import numpy as np

from segbench.compare.reading.naming import suggestion
from segbench.compare.report.tables import Cell, Line, Section, Table, metric_name, percent, score
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.ties import Floats
from segbench.errors import UserError

COLLAPSED = -99.0
"""Change in per cent of a score that should be large, at which a training has collapsed: it finds nothing."""


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
    collapsed = (change <= COLLAPSED) & comparison.larger(metric)
    lines = [
        Line(
            f"{baseline} ({metric_name(metric)})",
            tuple(Cell(score(v), float(v)) for v in scores[:, base]),
            "score",
        )
    ]
    for k in comparison.order:
        if k != base:
            cells = tuple(
                Cell(f"{percent(v)} (collapsed)" if gone else percent(v), float(v))
                for v, gone in zip(change[:, k], collapsed[:, k], strict=True)
            )
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
