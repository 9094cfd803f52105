"""The kinds of values that keys have, in pydantic's terms; `segbench.config.wording` puts each of them into words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

Kind = Any
"""A type annotation that pydantic checks: strictly, so that true is no integer, and a text no number."""

Flag = bool
Text = Annotated[str, Field(min_length=1)]
AnyText = str
Name = Annotated[str | int | float, Field(description="a name")]
"""A word that a person chooses, which YAML may have read as a number."""
Labels = Name | list[Name]
Anything = Any

Node = dict[str, Any]
"""A part of the configuration with keys of its own, such as a class and its arguments."""
Nodes = dict[str, Any]
"""Parts of the configuration by name."""

Integer = int
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Dimensions = Literal[2, 3]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]

Number = float
Least = Annotated[float, Field(ge=0)]
Above = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(ge=0, le=1000)]
"""A learning rate; 0 keeps the weights as they are."""
Degrees = Annotated[float, Field(ge=0, le=360)]

Sizes = Annotated[list[Positive], Field(min_length=1, max_length=3)]
"""A size for each axis."""
Channels = Annotated[list[Positive], Field(min_length=1)]
Counts = Annotated[list[Positive], Field(min_length=1)]


def odd(least: int = 1) -> Kind:
    """An odd integer."""
    return Annotated[int, Field(ge=least, json_schema_extra={"odd": True}), AfterValidator(_odd)]


def integers(*known: int) -> Kind:
    """One of some integers, of which true is none: to Python it equals 1."""
    return Annotated[Literal[known], BeforeValidator(_no_flag)]


def least_integer(least: int, most: int | None = None) -> Kind:
    """An integer from a least one on."""
    return Annotated[int, Field(ge=least, le=most)]


def span(item: Kind) -> Kind:
    """The smallest and the largest value of a range."""
    field = Field(min_length=2, max_length=2, json_schema_extra={"ascending": True})
    return Annotated[list[item], field, AfterValidator(_ascending)]


def list_of(item: Kind, least: int = 0, most: int | None = None) -> Kind:
    """A list, of a length if one is given."""
    return Annotated[list[item], Field(min_length=least, max_length=most)]


def by_name(item: Kind) -> Kind:
    """Values by name."""
    return dict[str, item]


def different(item: Kind, least: int = 0, most: int | None = None) -> Kind:
    """A list without an element that is there twice."""
    field = Field(min_length=least, max_length=most, json_schema_extra={"uniqueItems": True})
    return Annotated[list[item], field, AfterValidator(_different)]


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError
    return value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError
    return value


def _ascending(values: list[float]) -> list[float]:
    if values[0] > values[1]:
        raise ValueError
    return values


def _different(values: list[Any]) -> list[Any]:
    if len(set(map(str, values))) < len(values):
        raise ValueError
    return values
