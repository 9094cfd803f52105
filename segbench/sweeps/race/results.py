"""The results of a race: its table, its picture, and what a reader may conclude."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.compare.report.style import FAINT, colour, light_grid, marker, new_figure, styled
from segbench.runs.criterion import Criterion
from segbench.sweeps.race.decisions import Rules, State
from segbench.sweeps.race.entries import Field
from segbench.system.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE, PICTURE, CONCLUSION = "race.csv", "race.png", "race.txt"


@dataclass(frozen=True)
class Course:
    """The runs of a race and the knowledge from them.

    Attributes:
        field: methods and blocks.
        rules: of the race.
        criterion: the validation score.
        scores: (methods, blocks), NaN where there is no run.
        runs: names of the run directories, by method and block.
        failed: methods with a run that failed, and why.
        history: states of the methods after each block that was run.
    """

    field: Field
    rules: Rules
    criterion: Criterion
    scores: np.ndarray
    runs: dict[tuple[int, int], str]
    failed: dict[int, str]
    history: Sequence[Sequence[State]]

    @property
    def states(self) -> Sequence[State]:
        """The last state of each method."""
        return self.history[-1] if self.history else ["racing"] * len(self.scores)

    def left_after(self, method: int) -> int | None:
        """The number of blocks after which a method left, None where it did not."""
        return next((number for number, states in enumerate(self.history, 1) if states[method] != "racing"), None)


def write_results(course: Course, folder: Path) -> None:
    """Write race.csv, race.png and race.txt into the sweep's folder."""
    write_atomically(folder / TABLE, _table(course).to_csv(index=False))
    write_atomically(folder / CONCLUSION, "\n".join(conclusion(course)) + "\n")
    with styled():
        figure = _picture(course)
        write_atomically(folder / PICTURE, lambda path: figure.savefig(path, format="png", dpi=150, facecolor="white"))


def conclusion(course: Course) -> list[str]:
    """The conclusions that a reader may draw, in sentences."""
    field, states = course.field, course.states
    used, asked = int(np.isfinite(course.scores).sum()), course.scores.size
    lines = [f"{used} of the {asked} runs of the full grid were needed"]
    order = sorted(range(len(states)), key=lambda method: -np.nan_to_num(_signed_mean(course, method), nan=-np.inf))
    certain = f"with {course.rules.certainty:.0%} certainty, however often one looked"
    better = course.rules.better(course.criterion.sign * course.scores)
    if course.rules.decide == "order":
        pairs = [(a, b) for place, a in enumerate(order) for b in order[place + 1 :] if better[a, b]]
        lines += [f"{field.name(a)} is better than {field.name(b)}" for a, b in pairs]
        lines.append(f"{len(pairs)} of {len(states) * (len(states) - 1) // 2} pairs are decided {certain}")
    else:
        of_in = [field.name(method) for method in order if states[method] == "in"]
        undecided = [field.name(method) for method in order if states[method] == "racing"]
        places = "best" if course.rules.decide in ("winner", 1) else f"best {course.rules.decide}"
        if of_in:
            lines.append(f"{', '.join(of_in)}: the {places} of {len(states)}, {certain}")
        if undecided:
            lines.append(
                f"undecided: {', '.join(undecided)}; none of them can be ruled out, and more seeds or folds are needed"
            )
    lines += [f"{field.name(method)} left: {reason}" for method, reason in course.failed.items()]
    lines.append(
        f"the score is {course.criterion.label} of the validation cases, over seeds and folds; the claim assumes that"
        " differences from block to block are normal and independent, which folds that share training cases are only"
        " nearly; test cases had no say"
    )
    return lines


def _signed_mean(course: Course, method: int) -> float:
    known = course.scores[method][np.isfinite(course.scores[method])]
    return course.criterion.sign * float(known.mean()) if known.size else float("nan")


def _table(course: Course) -> pd.DataFrame:
    rows = []
    for method, block in course.runs:
        left = course.left_after(method)
        rows.append({
            "block": block + 1, "of": course.field.block_name(block), "method": course.field.name(method),
            "score": course.scores[method, block], "run": course.runs[method, block],
            "left_after": left, "state": course.states[method],
        })  # fmt: skip
    columns = ["block", "of", "method", "score", "run", "left_after", "state"]
    return pd.DataFrame(rows, columns=columns).sort_values(["block", "method"], ignore_index=True)


def _picture(course: Course) -> Figure:
    """The mean score of each method over the blocks so far; it ends where the method left."""
    figure = new_figure(6.0, 3.4)
    axes = figure.subplots()
    for method in range(len(course.scores)):
        blocks = np.flatnonzero(np.isfinite(course.scores[method]))
        if not blocks.size:
            continue
        means = np.cumsum(course.scores[method][blocks]) / np.arange(1, len(blocks) + 1)
        state = course.states[method]
        axes.plot(
            blocks + 1, means, color=colour(method), marker=marker(method), markersize=4,
            alpha=1.0 if state in ("in", "racing") else 0.6, label=f"{course.field.name(method)} ({state})",
        )  # fmt: skip
        if state == "out":
            axes.annotate("left", (blocks[-1] + 1, means[-1]), xytext=(4, 0), textcoords="offset points", color=FAINT)
    axes.set_xlabel("blocks of seed and fold")
    axes.set_ylabel(f"mean {course.criterion.label}, validation")
    axes.set_xlim(0.5, course.scores.shape[1] + 0.5)
    light_grid(axes)
    if np.isfinite(course.scores).any():
        axes.legend(fontsize=8)
    return figure
