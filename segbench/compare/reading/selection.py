"""Each method at its best setting, chosen by the validation cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segbench.compare.reading.naming import choices_and_settings, name_methods, suggestion
from segbench.compare.reading.runs import Run
from segbench.errors import UserError
from segbench.runs.criterion import Criterion, best_score


def best_by_validation(runs: Sequence[Run], select: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs with the best setting, of runs that differ only in some settings.

    The best is the one with the best validation score (run.json, `training.best_score`), the mean over
    seeds and folds, so that all runs of a method have the same setting. Test cases play no part. A
    setting that was not finished with every seed and fold of its method is not chosen.

    Args:
        runs: of any number of data sets; the choice is made for each.
        select: dotted keys of settings, or groups of choices; none: all runs are kept.

    Returns:
        The runs that are kept, in their order, and for each method with a choice a note on it.

    Raises:
        UserError: if no run has such a setting, a run says nothing of its validation, or the runs of a method chose
            their checkpoints by different metrics.
    """
    if not select:
        return list(runs), []
    tables = [choices_and_settings(run) for run in runs]
    for key in select:
        if not any(key in table for table in tables):
            known = [known for known in dict.fromkeys(key for table in tables for key in table)]
            raise UserError(f"select={key}: no run has such a setting{suggestion(key, known)}")
    # What is not selected tells the methods apart; what is selected tells their candidates apart.
    methods = zip(name_methods(runs, ignored=select), (run.dataset for run in runs), strict=True)
    settings = [tuple(str(table.get(key)) for key in select) for table in tables]
    candidates: dict[tuple[str, str], dict[tuple[str, ...], list[Run]]] = {}
    for run, method, setting in zip(runs, methods, settings, strict=True):
        candidates.setdefault(method, {}).setdefault(setting, []).append(run)
    kept, notes = set(), []
    for (name, dataset), of_setting in candidates.items():
        best = next(iter(of_setting))
        if len(of_setting) > 1:
            best, note = _best(of_setting, select)
            notes.append(f"{name} on '{dataset}': {note}")
        kept |= {run.id for run in of_setting[best]}
    return [run for run in runs if run.id in kept], notes


def _best(candidates: dict[tuple[str, ...], list[Run]], select: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The best candidate, and what is to be said of the others."""
    repetitions = {setting: {_repetition(run) for run in of_one} for setting, of_one in candidates.items()}
    every = set.union(*repetitions.values())
    complete = [setting for setting, done in repetitions.items() if done == every]
    if not complete:
        labels = " and ".join(_label(setting, select) for setting in candidates)
        raise UserError(
            f"select={','.join(select)}: none of {labels} was finished"
            f" with all {len(every)} combinations of seed and fold; finish the sweep, or leave seeds out"
        )
    criterion = _criterion([run for of_one in candidates.values() for run in of_one])
    scores = {setting: float(np.mean([_score(run) for run in candidates[setting]])) for setting in complete}
    best = next(setting for setting in complete if scores[setting] == criterion.best(scores.values()))
    told = {setting: f"{scores[setting]:.3f}" for setting in complete}
    others = [
        f"{_label(setting, select)} ({told.get(setting, 'not finished with every seed')})"
        for setting in candidates
        if setting != best
    ]
    name = f"validation {criterion.label}"
    return best, f"{_label(best, select)} has the best {name} ({told[best]}); left out: {', '.join(others)}"


def _repetition(run: Run) -> tuple[Any, Any]:
    return run.record["seed"], run.record["fold"]


def _criterion(runs: Sequence[Run]) -> Criterion:
    """The criterion of all runs of a method."""
    first = Criterion.of(runs[0].record)
    for run in runs:
        if (other := Criterion.of(run.record)) != first:
            raise UserError(
                f"select: {runs[0].path} was chosen by its validation {first.label}, {run.path} by {other.label}"
                " (metrics.choose_by): their scores cannot be compared"
            )
    return first


def _score(run: Run) -> float:
    score = best_score(run.record)
    if score is None:
        raise UserError(f"select: {run.path} says nothing of its validation (training.best_score in run.json)")
    return score


def _label(setting: Sequence[str], select: Sequence[str]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in zip(select, setting, strict=True))
