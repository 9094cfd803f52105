"""The check of every value against the type and range of its key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from segbench.config.history import current_name
from segbench.config.keys import KEYS
from segbench.config.wording import as_typed, in_words, suggestion
from segbench.errors import UserError

CLOSED = ("trainer",)
"""Nodes to which no key can be added: further arguments have a place of their own, and others would do nothing."""


def check_values(config: DictConfig, command: str, prefix: str = "") -> None:
    """Check every value of a configuration, or of a part of it.

    A text that an interpolation gives where a number is expected, such as `${oc.env:RATE}`, becomes that number.

    Args:
        config: composed; interpolations are resolved.
        command: whose configuration it is, or the name of the node.
        prefix: the dotted path of the part, with a dot at its end.

    Raises:
        UserError: naming the first key that has an impossible value, the value, and what would be right.
    """
    whole = config
    if not prefix and "measured" not in config:  # parts of a run, such as a model, refer to it
        whole = DictConfig(OmegaConf.merge({"measured": dict.fromkeys(KEYS["measured"])}, config))
    plain = {str(key): _plain(whole, str(key)) for key in config if key != "hydra"}
    faults = [
        (f"{path}{key}", where, key, node.get(key))
        for path, where, node in described_nodes(plain, command, prefix)
        for key in _wrong_keys(where, node)
        if not _becomes_number(config, f"{path}{key}", prefix, where, key, node.get(key))
    ]
    if faults:
        # Where others refer to the key, it is the one to name.
        path, where, key, value = next((fault for fault in faults if _is_written(config, fault[0], prefix)), faults[0])
        raise UserError(_message(path, where, key, value))


def described_nodes(node: Mapping[str, Any], where: str, prefix: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The nodes that have a table of keys: path with a dot at its end, name of the table, and plain values.

    Args:
        node: plain values, with what is below it.
        where: the name of its table, if it has no `_target_`.
        prefix: its path.
    """
    if "_target_" in node:
        where = current_name(str(node["_target_"]))
    if where in KEYS:
        yield prefix, where, {key: value for key, value in node.items() if not key.startswith("_")}
    for key, value in node.items():
        names = [f"{where}.{key}", f"{where}.*", *([] if prefix else [key])]
        below = next((name for name in names if name in KEYS), names[0])
        if isinstance(value, dict):
            yield from described_nodes(value, below, f"{prefix}{key}.")
        elif isinstance(value, list):
            for index, element in enumerate(value):
                if isinstance(element, dict):
                    yield from described_nodes(element, below, f"{prefix}{key}[{index}].")


def _message(path: str, where: str, key: str, value: Any) -> str:
    if key in KEYS[where]:
        return f"{path}={as_typed(value)}: must be {in_words(KEYS[where][key], value)}"
    parent = path.removesuffix(key)
    return f"{path}: there is no such key{suggestion(path, [f'{parent}{other}' for other in KEYS[where]])}"


def _wrong_keys(where: str, node: Mapping[str, Any]) -> list[str]:
    """The keys of a node whose values are impossible, in their order."""
    try:
        _adapter(where).validate_python({key: value for key, value in node.items() if value != MISSING})
    except ValidationError as error:
        return list(dict.fromkeys(str(fault["loc"][0]) for fault in error.errors(include_url=False)))
    return []


def _becomes_number(config: DictConfig, path: str, prefix: str, where: str, key: str, value: Any) -> bool:
    """Replace the text of a number, or a list of them, where it was not written and the number is right.

    Variables of the environment are texts, whatever is in them.
    """
    read = [_read(item) for item in value] if isinstance(value, list) else _read(value)
    if read == value or _is_written(config, path, prefix) or _wrong_keys(where, {key: read}):
        return False
    OmegaConf.update(config, path.removeprefix(prefix), read)
    return True


def _read(value: Any) -> Any:
    """A value; of the text of a number, this number."""
    for kind in (int, float) if isinstance(value, str) else ():
        with suppress(ValueError):
            return kind(value)
    return value


def _is_written(config: DictConfig, path: str, prefix: str) -> bool:
    """Return whether a value stands where it is, and is not what an interpolation refers to."""
    node: Any = config
    for key in re.findall(r"[^.\[\]]+", path.removeprefix(prefix)):
        node = node._get_node(int(key) if isinstance(node, ListConfig) else key)
        if node is None or node._is_interpolation():
            return False
    return not isinstance(node, ListConfig) or not any(OmegaConf.is_interpolation(node, i) for i in range(len(node)))


@cache
def _adapter(where: str) -> TypeAdapter[Any]:
    """The validator of a table of keys."""
    make: Any = TypedDict  # of a name that is found out here
    kind = make(where, dict(KEYS[where]), total=False)
    kind.__pydantic_config__ = ConfigDict(
        strict=True, allow_inf_nan=False, extra="forbid" if where in CLOSED else "ignore"
    )
    return TypeAdapter(kind)


def _plain(config: DictConfig, key: str) -> Any:
    """A value with what is below it, resolved; what has to be given and is not is `???`."""
    value = MISSING if OmegaConf.is_missing(config, key) else config[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
