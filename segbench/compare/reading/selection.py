"""Each method at its best setting, chosen by the validation cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from segbench.compare.reading.naming import choices_and_settings, name_methods, suggestion
from segbench.compare.reading.runs import Run
from segbench.errors import UserError


def best_by_validation(runs: Sequence[Run], select: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs with the best setting, of runs that differ only in some settings.

    The best is the one with the highest validation Dice (run.json, `training.best_dice`), the mean over
    seeds and folds, so that all runs of a method have the same setting. Test cases play no part. A
    setting that was not finished with every seed and fold of its method is not chosen.

    Args:
        runs: of any number of data sets; the choice is made for each.
        select: dotted keys of settings, or groups of choices; none: all runs are kept.

    Returns:
        The runs that are kept, in their order, and for each method with a choice a note on it.

    Raises:
        UserError: if no run has such a setting, or a run says nothing of its validation.
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
    dice = {setting: float(np.mean([_validation_dice(run) for run in candidates[setting]])) for setting in complete}
    best = max(complete, key=lambda setting: dice[setting])
    others = [
        f"{_label(setting, select)} ({f'{dice[setting]:.3f}' if setting in dice else 'not finished with every seed'})"
        for setting in candidates
        if setting != best
    ]
    note = f"{_label(best, select)} has the best validation Dice ({dice[best]:.3f}); left out: {', '.join(others)}"
    return best, note


def _repetition(run: Run) -> tuple[Any, Any]:
    return run.record["seed"], run.record["fold"]


def _validation_dice(run: Run) -> float:
    value = (run.record.get("training") or {}).get("best_dice")
    if not isinstance(value, int | float):
        raise UserError(f"select: {run.path} says nothing of its validation Dice (training.best_dice in run.json)")
    return float(value)


def _label(setting: Sequence[str], select: Sequence[str]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in zip(select, setting, strict=True))
