"""Directions of metrics: as the runs say, or as the user does; never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from segbench.compare.reading.runs import Run
from segbench.errors import UserError
from segbench.runs.criterion import DIRECTIONS
from segbench.runs.discovery import RECORD


def directions(
    metrics: Iterable[str],
    given: str | Mapping[str, str],
    runs: Sequence[Run] = (),
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the direction of every metric for which it is known.

    Args:
        metrics: those of the scores.
        given: by the user: for each metric, which wins over what the runs say, or one word for all that no run
            describes.
        runs: whose run.json says which metrics it has; none for scores from elsewhere.
        elsewhere: of metrics that another tool is known to have.

    Raises:
        UserError: where two runs say different things of a metric that the user has not decided, or one says neither
            larger nor smaller.
    """
    decided: Mapping[str, str] = {} if isinstance(given, str) else given
    stated: dict[str, str] = {}
    owner: dict[str, Run] = {}
    for run in runs:
        for metric, way in run.record["metrics"].items():
            if metric in decided:
                continue
            if way not in DIRECTIONS:
                raise UserError(f"{run.path / RECORD}: metrics.{metric}={way}: must be {' or '.join(DIRECTIONS)}")
            first = owner.setdefault(metric, run)
            if stated.setdefault(metric, way) != way:
                raise UserError(
                    f"{metric}: {stated[metric]} is better says {first.path}, {way} says {run.path};"
                    f" say better={{{metric}: {stated[metric]}}} or better={{{metric}: {way}}}"
                )
    order = dict.fromkeys([*(metric for run in runs for metric in run.record["metrics"]), *elsewhere])
    known = {metric: decided.get(metric, stated.get(metric, elsewhere.get(metric, ""))) for metric in order}
    others = {metric: given for metric in metrics if metric not in known} if isinstance(given, str) else decided
    return {**known, **others}
