"""The space of a search: Hydra's override grammar as distributions of Optuna."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from segbench.errors import UserError

DIGITS = 4
"""Significant digits of a value drawn from an interval: the value used is the one that is shown."""

_TAGS = {"log", "int"}


@dataclass(frozen=True)
class Space:
    """The overrides of a search, in the order in which they were given.

    Attributes:
        parts: by key: the whole override where it is fixed, the distribution where it is varied.
    """

    parts: Mapping[str, str | BaseDistribution]

    @property
    def varied(self) -> dict[str, BaseDistribution]:
        """The distributions that are searched, by key."""
        return {key: part for key, part in self.parts.items() if isinstance(part, BaseDistribution)}

    def example(self) -> list[str]:
        """The overrides of one possible trial."""
        firsts = {
            key: part.choices[0] if isinstance(part, CategoricalDistribution) else part.low  # type: ignore[attr-defined]
            for key, part in self.varied.items()
        }
        return self.overrides(firsts)

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of one trial.

        Args:
            values: of each varied key.
        """
        return [part if isinstance(part, str) else f"{key}={values[key]}" for key, part in self.parts.items()]


def parse_space(overrides: Sequence[str], loader: ConfigLoader | None = None) -> Space:
    """Parse what the overrides of a search fix and vary; of two overrides of one key the later counts.

    `a,b` and `choice(a,b)` are choices, `range(1,9,2)` are whole numbers, `interval(0,0.5)` is any number between the
    two and `int(interval(1,8))` any whole one; `tag(log,..)` draws on a logarithmic scale. Their order, as of
    `shuffle` and `sort`, makes no difference.

    Args:
        overrides: as typed, a study's first.
        loader: knows the options that `glob(..)` chooses from.

    Raises:
        UserError: naming a distribution that cannot be, or where nothing is varied.
    """
    parts: dict[str, str | BaseDistribution] = {}
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(overrides)):
        line = str(override.input_line)
        try:
            parts[override.get_key_element()] = _distribution(override) if override.is_sweep_override() else line
        except ValueError as error:
            raise UserError(f"{line}: {error}") from None
    space = Space(parts)
    if not space.varied:
        raise UserError("hydra/sweeper=optuna: nothing is varied: give a key several values, such as model=unet,segnet")
    return space


def rounded(value: float, distribution: FloatDistribution) -> float:
    """A value to few digits, still within its distribution."""
    digits = DIGITS if distribution.step is None else 12  # steps are the user's own, with all their digits
    return min(max(float(f"{value:.{digits}g}"), distribution.low), distribution.high)


def _distribution(override: Override) -> BaseDistribution:
    value = override.value()
    tags = set(getattr(value, "tags", ()))
    if tags - _TAGS:
        raise ValueError(f"tag {sorted(tags - _TAGS)[0]} is not known: use log or int")
    if isinstance(value, IntervalSweep):
        return _interval(value, tags)
    if isinstance(value, RangeSweep):
        return _range(list(override.sweep_iterator()), value, tags)
    if tags:
        raise ValueError(f"tag {sorted(tags)[0]} has no meaning for a choice: use it with interval or range")
    texts: Iterable[str] = override.sweep_string_iterator()
    if isinstance(value, ChoiceSweep):
        texts = map(Transformer.str, value.list)  # in the same order each time, though they be shuffled
    return CategoricalDistribution(list(dict.fromkeys(texts)))


def _interval(value: IntervalSweep, tags: set[str]) -> BaseDistribution:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    if "int" in tags or (isinstance(low, int) and isinstance(high, int)):
        return IntDistribution(math.ceil(low), math.floor(high), log="log" in tags)
    return FloatDistribution(low, high, log="log" in tags)


def _range(values: list[Any], value: RangeSweep, tags: set[str]) -> BaseDistribution:
    """The distribution of a range, whose end is not among the values, as everywhere in Hydra."""
    if not values:
        raise ValueError("this range is empty")
    low, high, step = min(values), max(values), abs(value.step)
    if all(isinstance(number, int) for number in values):
        return IntDistribution(low, high, step=int(step), log="log" in tags)
    if "log" in tags:
        raise ValueError("a range of fractions cannot be logarithmic: use tag(log,interval(..))")
    return FloatDistribution(low, high, step=float(step))
