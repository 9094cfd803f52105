"""reproduce.sh: the commands that make every run and the comparison again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from segbench import __version__
from segbench.compare.reading.methods import Loaded
from segbench.compare.reading.runs import Run

_HEAD = """#!/usr/bin/env bash
# Makes {what} again, and says whether the scores are the same:
#   bash reproduce.sh [FOLDER]
# What is finished in FOLDER is not made again. {versions}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${{1:-reproduced}}
python=${{PYTHON:-python}}
"""
_TAIL = """
if diff -q "$here/scores.csv" "$out/comparison/scores.csv" > /dev/null; then
  echo "the same scores, to the last digit"
else
  echo "other scores than in $here/scores.csv: $out/comparison (a GPU or other versions change the last digits)"
fi
"""


def reproduction(loaded: Loaded, scores: str | None, settings: Mapping[str, Any], elsewhere: Sequence[str] = ()) -> str:
    """The script.

    Args:
        loaded: what was compared.
        scores: the table of scores where no runs were.
        settings: the keys of conf/compare.yaml that were asked for.
        elsewhere: the places of methods that were trained elsewhere, with whole paths.
    """
    runs = [run for method in loaded.methods for run in method.runs]
    asked = [f"{key}={literal(value)}" for key, value in settings.items()]
    if scores is not None:
        head = _HEAD.format(what="the comparison", versions=f"segbench {__version__}.")
        return head + _command(["compare", f"scores={literal(scores)}", *asked]) + _TAIL
    if not runs:
        head = _HEAD.format(what="the comparison", versions=f"segbench {__version__}.")
        return head + _command(["compare", f"runs={literal(elsewhere)}", *asked]) + _TAIL
    lines = [_HEAD.format(what=f"{len(runs)} runs and their comparison", versions=_versions(runs))]
    for run in runs:
        overrides = [text for text in run.record.get("overrides", ()) if not text.startswith("hydra.")]
        lines.append(_command(overrides, f'"hydra.run.dir=$out/{run.id}"'))
    others = "".join(f",{literal(place)}" for place in elsewhere)
    places = f'"runs=[$out"{shlex.quote(others + "]")}' if elsewhere else '"runs=$out"'
    lines.append("\n" + _command(["compare", *asked], f'{places} "output=$out/comparison"') + _TAIL)
    return "".join(lines)


def literal(value: Any) -> str:
    """A value as Hydra's command line reads it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(literal, value))}]"
    if isinstance(value, str):
        escaped = value.replace("'", r"\'")
        return f"'{escaped}'"
    return str(value)


def _command(arguments: Sequence[str], more: str = "") -> str:
    if not more:
        more = '"output=$out/comparison"'
    return f'"$python" -m segbench {" ".join(map(shlex.quote, arguments))} {more}\n'


def _versions(runs: Sequence[Run]) -> str:
    versions = runs[0].record["versions"]
    commit = (runs[0].record.get("git") or {}).get("commit")
    at = f" at commit {commit}" if commit else ""
    return f"They were made by segbench {versions.get('segbench')}{at}, torch {versions.get('torch', '?')}."
