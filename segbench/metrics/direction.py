"""The direction of a metric: a property of the function itself, under the name that torchmetrics gives it."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from segbench.runs.criterion import Direction

Function = TypeVar("Function")

ATTRIBUTE = "higher_is_better"


def larger_is_better(metric: Function) -> Function:
    """Mark a metric as better where it is larger."""
    setattr(metric, ATTRIBUTE, True)
    return metric


def smaller_is_better(metric: Function) -> Function:
    """Mark a metric as better where it is smaller."""
    setattr(metric, ATTRIBUTE, False)
    return metric


def direction_of(metric: Any) -> Direction | None:
    """Return the direction that a metric states; None where it states none.

    Args:
        metric: a function, a partial of one at any depth, or a class or object of torchmetrics.
    """
    while isinstance(metric, partial):
        metric = metric.func
    stated = getattr(metric, ATTRIBUTE, None)
    return None if stated is None else "larger" if stated else "smaller"
