"""The states of a training that a run keeps: the newest, the one before it, and the best."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.training.checkpoint_file import read_checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptState:
    """A state from which a training can go on.

    Attributes:
        path: its file.
        step: optimizer steps done.
    """

    path: Path
    step: int


def newest_state(directory: RunDirectory) -> KeptState | None:
    """The newest state that is whole; None where a training has none, and begins.

    Raises:
        UserError: where all are damaged.
    """
    faults: list[UserError] = []
    for path in directory.states:
        try:
            state = KeptState(path, _step_of(path))
        except UserError as error:
            faults.append(error)
            continue
        if path != directory.last_checkpoint:
            log.warning(
                "%s: going on from the state before it, at step %d",
                faults[0].args[0].partition("; ")[0] if faults else f"{directory.last_checkpoint} is not there",
                state.step,
            )
        return state
    if faults:
        raise faults[0]
    return None


def best_state(directory: RunDirectory) -> dict[str, Any]:
    """The content of the best checkpoint; where it is damaged, that of another state of the same step.

    Raises:
        UserError: where there is none.
    """
    try:
        return read_checkpoint(directory.best_checkpoint)
    except UserError as error:
        found = state_at((directory.record.get("training") or {}).get("best_step"), directory.states)
        if found is None:
            raise
        log.warning("%s: taking %s instead, which is of the same step", str(error).partition("; ")[0], found.name)
        return read_checkpoint(found)


def state_at(step: int | None, states: list[Path]) -> Path | None:
    """The first whole one of some states that is of a step; None where there is none."""
    for path in states:
        with suppress(UserError):
            if _step_of(path) == step:
                return path
    return None


def is_whole(path: Path) -> bool:
    """Return whether a checkpoint is there and whole."""
    with suppress(UserError):
        return bool(read_checkpoint(path))
    return False


def _step_of(path: Path) -> int:
    content = read_checkpoint(path)
    try:
        return int(content["global_step"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is no state of a training; delete {path.parents[1]} to make the run anew") from error
