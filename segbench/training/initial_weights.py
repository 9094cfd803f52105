"""A run that begins with the weights of another one."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import nn

from segbench.data.splits import Split
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.runs.training_images import TrainingImages
from segbench.training.kept_states import best_state

log = logging.getLogger(__name__)

_NAMED = 6


def source(path: str | None, directory: RunDirectory) -> RunDirectory | None:
    """The run that another one's first weights come from.

    Args:
        path: `initial_weights`: the directory of a finished run, or None.
        directory: of the run that begins.

    Returns:
        None where no weights are asked for, or the run continues from a checkpoint of its own, so that the
        other one may be gone by then.

    Raises:
        UserError: where the path is no directory of a finished run.
    """
    if path is None or directory.states:
        return None
    other = RunDirectory(Path(path).expanduser())
    if not other.record:
        raise UserError(f"initial_weights={path}: is no run directory, it has no run.json")
    if not other.finished:
        raise UserError(f"initial_weights={path}: the run is not finished (status {other.status}): start it again")
    if not other.best_checkpoint.exists():
        raise UserError(f"initial_weights={path}: has no {other.best_checkpoint.name}: nothing to take over")
    return other


def check_unseen(other: RunDirectory, dataset: str, store: CaseStore, split: Split) -> None:
    """Check that weights have not been fitted to the images that they will be tested on.

    Neither by the other run nor by one that its own first weights come from, and under no name of data set or
    case. A test image that the new run itself has among its training images is left to `segbench prepare`.

    Args:
        other: the run that they come from.
        dataset: name of the data set of the run that begins.
        store: its images.
        split: its cases.

    Raises:
        UserError: where one of its test cases was a training or validation case.
    """
    known, own = TrainingImages.of_run(other), TrainingImages.of_split(store, split)
    cases = [store.meta(case) for case in split.test]
    seen = sorted(case.id for case in cases if known.has(dataset, case) and not own.has(dataset, case))
    if seen:
        raise UserError(
            f"initial_weights={other.path}: was trained on {len(seen)} of the {len(split.test)} test cases, such as"
            f" {seen[0]}; take a run that saw none of them, such as one with the same fold, folds and split.seed"
        )


def take_over(model: nn.Module, other: RunDirectory) -> None:
    """Give `model` every tensor of the best weights of a run that has the same name and shape in it.

    Args:
        model: changed in place.
        other: the run.

    Raises:
        UserError: where there is no such tensor.
    """
    state = best_state(other)["state_dict"]
    theirs = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
    ours = model.state_dict()
    taken = {name: theirs[name] for name in ours if name in theirs and theirs[name].shape == ours[name].shape}
    if not taken:
        raise UserError(
            f"initial_weights={other.path}: none of its {len(theirs)} tensors has name and shape of one of the"
            f" {len(ours)} of {type(model).__name__}; it must be a run of a model of the same family"
        )
    model.load_state_dict(taken, strict=False)
    left = [name for name in ours if name not in taken]
    names = ", ".join(left[:_NAMED]) + (", .." if len(left) > _NAMED else "")
    log.info(
        "%d of %d tensors begin as in %s%s", len(taken), len(ours), other.path, f"; the others: {names}" if left else ""
    )
