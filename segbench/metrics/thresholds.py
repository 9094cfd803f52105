"""Families of metrics: one function at several thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

Function = TypeVar("Function")

ATTRIBUTE = "threshold_argument"


def per_threshold(argument: str) -> Callable[[Function], Function]:
    """Let an argument of a metric, a share from 0 to 1, be a list in the configuration: one metric for each value.

    They are named after the entry and the value in per cent: `object_f1: {iou: [0.5, 0.55]}` is `object_f1_50` and
    `object_f1_55`.
    """

    def mark(metric: Function) -> Function:
        setattr(metric, ATTRIBUTE, argument)
        return metric

    return mark


def members(name: str, metric: Any) -> dict[str, Any]:
    """Return the metrics of an entry by name: one for each threshold of a family, else the metric itself.

    Args:
        name: of the entry.
        metric: its function, with the arguments that the configuration gives.

    Raises:
        ValueError: where a list of thresholds is empty, or two of them would have one name.
    """
    if not isinstance(metric, partial) or not hasattr(metric.func, ATTRIBUTE):
        return {name: metric}
    argument = getattr(metric.func, ATTRIBUTE)
    values = metric.keywords.get(argument)
    if not isinstance(values, Sequence):
        return {name: metric}
    named = {f"{name}_{round(100 * value)}": partial(metric, **{argument: value}) for value in values}
    if len(named) != len(values) or not named:
        raise ValueError(f"{argument}={list(values)}: must be thresholds at least a per cent apart")
    return named
