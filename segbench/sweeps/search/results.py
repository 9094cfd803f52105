"""The results of a search: the table of its trials, the best one, and which parameters mattered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from segbench.sweeps.search.trials import Trials
from segbench.system.atomic import write_atomically

TABLE = "search.csv"

STATES = {
    TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    TrialState.RUNNING: "broken off", TrialState.WAITING: "broken off",
}  # fmt: skip

ENOUGH = 10
"""Finished trials from which on the importance of parameters is worth a look."""


def write_table(trials: Trials, folder: Path) -> None:
    """Write `search.csv`: a line for each trial, with the value of each parameter.

    The validation score of a pruned trial is the last that was reported; the steps are those up to it.
    """
    varied = list(trials.space.varied)
    columns = ["trial", "state", "validation_score", "steps", *varied, "run", "reason"]
    rows = [_row(trial) for trial in trials.standing()]
    write_atomically(folder / TABLE, pd.DataFrame(rows, columns=columns).to_csv(index=False))


def show_best(trials: Trials, folder: Path, console: Console | None = None) -> None:
    """Print the best trial by validation, how all of them ended, and what mattered."""
    console = console or Console()

    def show(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    known = trials.standing()
    counts = Counter(STATES[trial.state] for trial in known)
    ended = ", ".join(f"{counts[state]} {state}" for state in dict.fromkeys(STATES.values()) if counts[state])
    show(f"{len(known)} trials: {ended}; table {folder / TABLE}")
    finished = [trial for trial in known if trial.state == TrialState.COMPLETE]
    if not finished:
        show("no trial has finished: there is no best one")
        return
    score = trials.criterion.best(trial.value for trial in finished if trial.value is not None)
    best = next(trial for trial in finished if trial.value == score)
    values = " ".join(f"{key}={value}" for key, value in best.params.items())
    show(f"best by validation: trial {best.number}, {values}: validation {trials.criterion.label} {best.value:.3f}")
    show(f"run directory  {folder / best.user_attrs['run']}")
    show("the comparison of a sweep is one of test cases: it shows what the trials came to, and chooses none")
    importance = importances(trials)
    if importance:
        show("importance     " + ", ".join(f"{key} {share:.2f}" for key, share in importance.items()))


def importances(trials: Trials) -> dict[str, float]:
    """The share of each parameter in the variance of the validation score (functional ANOVA), largest first.

    Hutter, Hoos and Leyton-Brown, 2014, as Optuna computes it. Empty where there are too few finished trials to tell,
    or their scores are all the same.
    """
    finished = [trial for trial in trials.all() if trial.state == TrialState.COMPLETE]
    if len(trials.space.varied) < 2 or len(finished) < ENOUGH or len({trial.value for trial in finished}) < 2:
        return {}
    return optuna.importance.get_param_importances(
        trials.study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": STATES[trial.state],
        "validation_score": trial.value,
        "steps": trial.last_step,
        **trial.params,
        "run": trial.user_attrs.get("run"),
        "reason": trial.user_attrs.get("reason"),
    }
