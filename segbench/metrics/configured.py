"""The metrics that a configuration names: their functions, and which way each is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig

from segbench.config.instantiation import build
from segbench.config.wording import suggestion
from segbench.errors import UserError
from segbench.metrics.direction import direction_of
from segbench.metrics.overlap import dice
from segbench.metrics.thresholds import members
from segbench.runs.criterion import DIRECTIONS, Criterion, Direction

GROUPS = ("classes", "objects", "probabilities")

DEFAULT = "dice"
"""The metric that chooses a checkpoint where nothing else is said: known whether or not it is listed."""


def functions(metrics: DictConfig, group: str) -> dict[str, Any]:
    """Return the functions of `metrics.classes`, `metrics.objects` or `metrics.probabilities` by name.

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
    for group, others in (("objects", ways["classes"]), ("probabilities", {**ways["classes"], **ways["objects"]})):
        if twice := ways[group].keys() & others.keys():
            other = "classes" if min(twice) in ways["classes"] else "objects"
            raise UserError(f"metrics.{group}.{min(twice)}: metrics.{other} has a metric of that name")
    return ways


def criterion(metrics: DictConfig) -> Criterion:
    """Return what `metrics.choose_by` names.

    Raises:
        UserError: where that is no metric, or metrics of different directions.
    """
    chosen = metrics.choose_by
    names = [chosen] if isinstance(chosen, str) else list(chosen or [])
    key = f"metrics.choose_by={chosen}"
    if not names or len(set(names)) < len(names):
        raise UserError(f"{key}: must be the name of a metric, or a list of different ones")
    ways = directions(metrics)
    known: dict[str, Direction] = {DEFAULT: "larger", **ways["classes"], **ways["objects"]}
    for name in names:
        if name not in known:
            raise UserError(f"{key}: there is no metric {name}{suggestion(str(name), list(known))}")
    by_way = {way: [name for name in names if known[name] == way] for way in DIRECTIONS}
    if all(by_way.values()):
        larger, smaller = (" and ".join(by_way[way]) for way in DIRECTIONS)
        raise UserError(
            f"{key}: larger is better of {larger}, smaller of {smaller}; choose by metrics of one direction"
        )
    return Criterion(tuple(names), known[names[0]])


def chosen_functions(metrics: DictConfig, group: str) -> dict[str, Any]:
    """Return the functions of a group that `metrics.choose_by` names."""
    known = functions(metrics, group)
    if group == "classes":
        known = {DEFAULT: dice, **known}
    return {name: known[name] for name in criterion(metrics).metrics if name in known}


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


def _adapted(metric: Any, group: str, entry: str, metrics: DictConfig) -> Any:
    """A metric of torchmetrics as a function of a case."""
    from segbench.metrics.from_torchmetrics import CaseMetric  # only now is PyTorch imported

    if group != "classes":
        raise UserError(f"metrics.{group}.{entry}: metrics of torchmetrics score masks; name it in metrics.classes")
    try:
        return CaseMetric(metric, (metrics.get("direction") or {}).get(entry))
    except ValueError as error:
        raise UserError(f"metrics.{group}.{entry}: {error}") from error


def _entries(metrics: DictConfig, group: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The metrics of each entry of a group."""
    for entry, metric in build(metrics.get(group) or {}, f"metrics.{group}").items():
        if hasattr(metric, "update") and hasattr(metric, "compute"):
            metric = _adapted(metric, group, entry, metrics)
        if not callable(metric):
            raise UserError(f"metrics.{group}.{entry}: is no function; give its _target_, with _partial_: true")
        try:
            yield entry, members(entry, metric)
        except (TypeError, ValueError) as error:
            raise UserError(f"metrics.{group}.{entry}.{error}") from error
