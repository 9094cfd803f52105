"""Scales on which means of scores are nearly symmetric, by the range that a metric has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segbench.compare.statistics.ties import Floats

EDGE = 1e-9
"""Distance that a mean keeps from the ends of its scale, where a logit or logarithm is infinite."""


@dataclass(frozen=True)
class Scale:
    """A scale.

    Attributes:
        name: put before the name of an interval; empty for the scores' own scale.
        low: smallest possible score.
        high: largest possible score.
        to: scores to the scale.
        back: and back.
        slope: derivative of `to`.
        tail: the scores under which an interval covers least, for a warning; empty where there are none.
    """

    name: str
    low: float
    high: float
    to: Callable[[Floats], Floats] = np.asarray
    back: Callable[[Floats], Floats] = np.asarray
    slope: Callable[[Floats], Floats] = np.ones_like
    tail: str = ""

    def inside(self, values: Floats) -> Floats:
        """Values kept off the ends."""
        return np.clip(values, self.low + EDGE, self.high - EDGE)


PLAIN = Scale("", -np.inf, np.inf)
POSITIVE = Scale("", 0.0, np.inf)
LOGIT = Scale(
    "logit ",
    0.0,
    1.0,
    lambda x: np.log(x / (1 - x)),
    lambda z: 1 / (1 + np.exp(-z)),
    lambda x: 1 / (x * (1 - x)),
    "if one case in twelve fails",
)
LOG = Scale("log ", 0.0, np.inf, np.log, np.exp, lambda x: 1 / x, "if a few cases are far worse than the others")


def scale_of(values: Floats, larger: bool | None = None) -> Scale:
    """The scale of a metric by the range that its scores are seen to have.

    Args:
        values: all scores of the metric, any shape.
        larger: whether a larger score is better; None: not known. Scores beyond 1 of which the smaller are better are
            taken for distances, which have a long tail; of those of which the larger are better nothing is known.
    """
    lowest, highest = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    if lowest < 0:
        return PLAIN
    if highest <= 1:
        return LOGIT
    return POSITIVE if larger else LOG
