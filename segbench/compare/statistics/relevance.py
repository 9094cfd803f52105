"""Practical relevance: whether a difference is larger than one that matters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.effects import Effects

CLASSES = ("better", "equivalent", "worse", "undecided")


def relevance(effects: Effects, sign: float, relevant: float) -> NDArray[np.object_]:
    """Classify the first method of each pair as "better", "equivalent", "worse" or "undecided".

    Better (worse) where the whole interval of the difference lies beyond what is relevant; equivalent where that of two
    one-sided tests lies within it (Schuirmann 1987), which is narrower; undecided otherwise.

    Args:
        effects: the differences.
        sign: 1 where a larger statistic is better, else -1.
        relevant: the smallest difference that matters, in units of the statistic.
    """
    low, high = (effects.low, effects.high) if sign > 0 else (-effects.high, -effects.low)
    within = (effects.inner_low > -relevant) & (effects.inner_high < relevant)
    kinds = np.select([low > relevant, high < -relevant, within], ["better", "worse", "equivalent"], "undecided")
    return np.where(np.isnan(effects.difference), "", kinds).astype(object)
