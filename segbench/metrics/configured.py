"""The metrics that a configuration names: their functions, and which way each is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from segbench.config.schema import build, suggestion
from segbench.errors import UserError
from segbench.metrics.direction import direction_of
from segbench.metrics.family import members
from segbench.runs.criterion import DIRECTIONS, Direction

GROUPS = ("classes", "objects")


def functions(metrics: DictConfig, group: str) -> dict[str, Any]:
    """Return the functions of `metrics.classes` or `metrics.objects` by name.

    Raises:
        UserError: where one cannot be made, or two have one name.
    """
    found: dict[str, Any] = {}
    for entry, of_entry in _entries(metrics, group):
        for name in of_entry:
            if name in found:
                raise UserError(f"metrics.{group}.{entry}: there is another metric {name!r}")
        found |= of_entry
    return found


def directions(metrics: DictConfig) -> dict[str, dict[str, Direction]]:
    """Return which way each metric is better, by group and name.

    A metric says so itself (`segbench.metrics.direction`); for one that does not, `metrics.direction` does.

    Raises:
        UserError: where it is not known of a metric, stated twice and differently, or `metrics.direction` names what
            is no metric or no direction.
    """
    given: dict[str, Direction] = dict(metrics.get("direction") or {})
    for name, way in given.items():
        if way not in DIRECTIONS:
            raise UserError(f"metrics.direction.{name}={way}: must be {' or '.join(DIRECTIONS)}")
    ways: dict[str, dict[str, Direction]] = {}
    known = set()
    for group in GROUPS:
        ways[group] = {}
        for entry, of_entry in _entries(metrics, group):
            known |= {entry, *of_entry}
            for name, function in of_entry.items():
                ways[group][name] = _direction(
                    function, f"metrics.{group}.{entry}", name, given.get(name, given.get(entry))
                )
    unknown = sorted(given.keys() - known)
    if unknown:
        raise UserError(
            f"metrics.direction.{unknown[0]}: there is no such metric{suggestion(unknown[0], sorted(known))}"
        )
    twice = ways["classes"].keys() & ways["objects"].keys()
    if twice:
        raise UserError(f"metrics.objects.{min(twice)}: metrics.classes has a metric of that name")
    return ways


def _direction(function: Any, key: str, name: str, given: Direction | None) -> Direction:
    stated = direction_of(function)
    if stated is None and given is None:
        raise UserError(
            f"{key}: not known whether larger or smaller is better; set the attribute higher_is_better of the function"
            f" (segbench.metrics.direction has decorators), or metrics.direction.{name}: smaller"
        )
    if stated is not None and given not in (None, stated):
        raise UserError(f"metrics.direction.{name}={given}: the metric itself says that {stated} is better")
    return stated or given  # type: ignore[return-value]


def _entries(metrics: DictConfig, group: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The metrics of each entry of a group."""
    for entry, metric in build(metrics[group], f"metrics.{group}").items():
        if not callable(metric):
            raise UserError(f"metrics.{group}.{entry}: is no function; give its _target_, with _partial_: true")
        try:
            yield entry, members(entry, metric)
        except (TypeError, ValueError) as error:
            raise UserError(f"metrics.{group}.{entry}.{error}") from error
