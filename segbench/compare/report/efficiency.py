"""Score against cost: which methods no other beats at no higher cost, and what a score is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segbench.compare.reading.methods import Method
from segbench.compare.report.frames import mean_scores
from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.ties import Bools, Floats

PRICE = 0.01
"""Share of the score that a tenfold cost has to buy."""
PRICED = ("parameters", "seconds_per_case")


def pareto(scores: Floats, costs: Floats, larger: bool) -> Bools:
    """(M,) true where no other method has a score as good and a cost as low, and one of them better."""
    gain = scores if larger else -scores
    better = (gain[None] >= gain[:, None]) & (costs[None] <= costs[:, None])
    strictly = (gain[None] > gain[:, None]) | (costs[None] < costs[:, None])
    return np.asarray(~(better & strictly).any(axis=1) & ~np.isnan(gain) & ~np.isnan(costs))


def adjusted(scores: Floats, costs: Floats, larger: bool) -> Floats:
    """Efficiency-adjusted scores: s (1 -+ 0.01 log10(cost / smallest cost)).

    The cheapest method keeps its score; one that costs ten times as much loses one per cent of its
    score where larger is better, and gains one where smaller is. So of two methods the dearer one leads
    only if every tenfold of cost buys it a hundredth. The price is a convention, not a measurement.
    """
    known = costs[np.isfinite(costs) & (costs > 0)]
    if not len(known):
        return np.full_like(scores, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.maximum(np.log10(costs / known.min()), 0)  # nothing can be cheaper: no cost at all counts as that
    return np.asarray(scores * (1 - PRICE * decades if larger else 1 + PRICE * decades))


def efficiency_frame(comparison: Comparison, methods: Sequence[Method]) -> pd.DataFrame:
    """A line for each metric, method and kind of cost.

    Returns:
        metric, method, cost (its name), amount, score (mean over classes and data sets), adjusted, pareto.
    """
    lines = []
    for metric in comparison.settings.metrics:
        scores = mean_scores(comparison, metric)
        larger = comparison.larger(metric)
        for cost in PRICED:
            amounts = np.array([method.cost(cost) for method in methods])
            columns = {
                "amount": amounts,
                "score": scores,
                "adjusted": adjusted(scores, amounts, larger),
                "pareto": pareto(scores, amounts, larger),
            }
            names = [method.name for method in methods]
            lines.append(pd.DataFrame({"metric": metric, "method": names, "cost": cost, **columns}))
    return pd.concat(lines, ignore_index=True)
