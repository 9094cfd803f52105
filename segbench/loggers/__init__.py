"""Loggers: the places that curves and results are sent to.

Each logger is made from the run directory and the resolved configuration, and has, besides Lightning's
methods, `record_result(summary)` for what a finished run has to show, and `close(failed)`. So nobody
has to ask which loggers there are. One that depends on something outside, such as a server, has beside its module
one of the same name with `_access` behind it, which imports neither Lightning nor PyTorch: its function
`check(**values)` is called before a run is begun.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def check_loggers(nodes: Mapping[str, Any] | None) -> None:
    """Ask the loggers of a configuration whether they will work; a sweep asks once for all its runs.

    Args:
        nodes: the group `logger` of the configuration.

    Raises:
        UserError: where a logger will not work.
    """
    for node in (nodes or {}).values():
        access = str(node.get("_target_", "")).rpartition(".")[0] + "_access"
        try:
            known = access != "_access" and find_spec(access) is not None
        except ImportError:  # no such package: `schema.check_targets` says what is wrong
            continue
        if known:
            values = {str(key): value for key, value in node.items() if not str(key).startswith("_")}
            import_module(access).check(**values)
