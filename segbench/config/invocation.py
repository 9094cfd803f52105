"""The invocation of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Invocation:
    """The invocation of a run.

    Attributes:
        path: the run directory.
        name: of the run.
        choices: the option of each configuration group.
        overrides: as typed.
        in_sweep: whether others belong to it: then nobody looks at the run alone.
    """

    path: Path
    name: str
    choices: Mapping[str, str]
    overrides: Sequence[str]
    in_sweep: bool = False
