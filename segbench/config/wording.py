"""Types and values in words, for messages and for the reference."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from segbench.config.keys.kinds import Kind

NODE = "keys with values"
"""The words for a node of the configuration."""


def in_words(kind: Kind, value: Any = None) -> str:
    """A type and its range, such as "an integer of at least 1, or null".

    Args:
        kind: see `segbench.config.keys`.
        value: of the wrong type, if there is one: what YAML has made of it is added.
    """
    schema = TypeAdapter(kind).json_schema()
    return _of_schema(schema) + _hint(schema, value)


def as_typed(value: Any) -> str:
    """A value as it is typed on the command line: null, [1,2], {a:b}."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{as_typed(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_typed, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value) if isinstance(value, str) and (not value.strip() or _number(value)) else str(value)


def suggestion(name: str, known: Sequence[str]) -> str:
    """The end of a message: the nearest known name, or all of them."""
    return nearest(name, known) or (f"; known are {', '.join(known)}" if known else "")


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of a message: the nearest known name, empty where none is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _of_schema(schema: Mapping[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    if "const" in schema:
        return as_typed(schema["const"])
    if "enum" in schema:
        return f"{'one of ' if len(schema['enum']) > 1 else ''}{', '.join(map(as_typed, schema['enum']))}"
    if "anyOf" in schema:
        return ", or ".join(dict.fromkeys(map(_of_schema, schema["anyOf"])))
    match schema.get("type"):
        case "null":
            return "null"
        case "boolean":
            return "true or false"
        case "string":
            return "a text"
        case "integer":
            return f"an {'odd ' if schema.get('odd') else ''}integer{_range(schema)}"
        case "number":
            return f"a number{_range(schema)}"
        case "array":
            return _of_list(schema)
        case "object":
            return _of_node(schema)
    return "any value"


def _range(schema: Mapping[str, Any]) -> str:
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}" if isinstance(least, float) else f" from {least} to {most}"
    parts = [
        f"{word} {limit:.3g}" if isinstance(limit, float) else f"{word} {limit}"
        for word, limit in (("of at least", least), ("above", above), ("at most", most), ("below", below))
        if limit is not None
    ]
    return f" {' and '.join(parts)}" if parts else ""


def _of_list(schema: Mapping[str, Any]) -> str:
    items = _of_schema(schema["items"])
    if schema.get("ascending"):
        return f"[smallest,largest], each {items}"
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    length = f" of {least}" if least == most else f" of {least} to {most}" if most else " of at least 1" * (least > 0)
    return f"a list{length}{', all different' if schema.get('uniqueItems') else ''}, each {items}"


def _of_node(schema: Mapping[str, Any]) -> str:
    values = schema.get("additionalProperties", True)
    return NODE if values is True else f"{{name: value}}, each value {_of_schema(values)}"


def _hint(schema: Mapping[str, Any], value: Any) -> str:
    """The nearest word, or the way to write a value that YAML, or the environment, has made another type of."""
    kinds = {kind.get("type") for kind in schema.get("anyOf", [schema]) if not {"enum", "const"} & set(kind)}
    if isinstance(value, int | float) and not isinstance(value, bool) and "string" in kinds:
        return f""" (in quotes: "'{value}'")"""
    if isinstance(value, str) and _number(value) and kinds & {"integer", "number"}:
        return " (this is a text: write it without quotes)"
    words = [word for kind in schema.get("anyOf", [schema]) for word in kind.get("enum", []) if isinstance(word, str)]
    if isinstance(value, str) and (close := difflib.get_close_matches(value, words, n=1)):
        return f"; did you mean {close[0]}?"
    return ""


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
