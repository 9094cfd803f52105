"""The code of a run: every state that it was made by, and the refusal to go on by another one unasked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import segbench
from segbench.config.user_modules import module_files
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.runs.provenance import git_state

log = logging.getLogger(__name__)

POLICIES = ("refuse", "renew")


@cache  # what was loaded is the code of all runs of a process, whatever is edited meanwhile
def code_state(modules: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The present code: its commit, whether there are changes, and a digest of all Python files that a run may import.

    Two commits that differ in documents alone have one digest, and two states of changed files have two.

    Args:
        modules: of the user's own that the run is made of.
    """
    package = Path(segbench.__file__).parent
    files = {path.relative_to(package.parent).as_posix(): path for path in package.rglob("*.py")}
    files |= {name.as_posix(): path for name, path in module_files(modules) if path.suffix == ".py"}
    content = hashlib.sha256()
    for name in sorted(files):
        content.update(f"{name}\0".encode() + files[name].read_bytes() + b"\0")
    return {**(git_state() or {"commit": None, "dirty": None}), "digest": content.hexdigest()[:12]}


def states_of(directory: RunDirectory, policy: str, modules: Iterable[str], step: Callable[[], int]) -> list[Any]:
    """The states of the code by which a run that begins or goes on will have been made, each with its first step.

    Args:
        directory: of the run.
        policy: where the code is not that of the run up to here: "refuse", or "renew": go on by the present code.
        modules: of the user's own that the run is made of.
        step: gives the step from which it goes on.

    Raises:
        UserError: where the code has changed, and the policy is to refuse.
    """
    if policy not in POLICIES:
        raise UserError(f"code={policy}: must be one of {', '.join(POLICIES)}")
    present = code_state(frozenset(modules))
    states = list(directory.record.get("code") or [])
    if not states:
        return [{**present, "from_step": 0}]
    former = states[-1]
    if former["digest"] == present["digest"]:
        return states
    reached = step()
    difference = f"{described(former)} up to step {reached}, now {described(present)}"
    if reached and policy == "refuse":
        raise UserError(
            f"{directory.path}: the code has changed since the run began ({difference}): code=renew goes on with the"
            " present code and records it; or choose another hydra.run.dir (of a sweep: hydra.sweep.dir) to begin anew"
        )
    if reached:
        log.warning("going on with other code: %s", difference)
    kept = [state for state in states if state["from_step"] < reached]  # what a step was repeated by counts
    return [*kept, {**present, "from_step": reached}]


def described(state: Mapping[str, Any]) -> str:
    """A state of the code in words: its commit where it has one, and its digest."""
    commit = (
        f"commit {state['commit'][:10]}{' with changes' if state['dirty'] else ''}, " if state.get("commit") else ""
    )
    return f"{commit}files {state['digest']}"
