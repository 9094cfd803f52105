"""The compared methods and scores, from run directories or a table of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segbench.compare.reading.annotators import annotators_of, by_reference, other_references, with_people
from segbench.compare.reading.comparability import check_fairness
from segbench.compare.reading.costs import read_costs
from segbench.compare.reading.data_sets import told_apart
from segbench.compare.reading.directions import directions
from segbench.compare.reading.duplicates import without_copies, without_unused_choices
from segbench.compare.reading.elsewhere import Elsewhere, joined
from segbench.compare.reading.external import read_score_table
from segbench.compare.reading.naming import name_methods, renamed
from segbench.compare.reading.runs import Run, Unfinished, read_runs, read_scores
from segbench.compare.reading.selection import best_by_validation
from segbench.compare.statistics.scores import Absent, Missing, Scores, completed, tabulate
from segbench.compare.statistics.subgroups import Subgroups
from segbench.data.leaks import warning
from segbench.errors import UserError

COSTS = ("parameters", "flops", "seconds_per_case", "train_seconds", "peak_memory_bytes")


@dataclass(frozen=True)
class Method:
    """A compared method: all runs that differ in seed, fold and data set only.

    Attributes:
        name: see `name_methods`.
        runs: its finished runs; none for scores from elsewhere.
        costs: its costs from elsewhere, by name.
    """

    name: str
    runs: tuple[Run, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict, hash=False)

    def cost(self, key: str) -> float:
        """The cost given, else the median over the runs of an entry of run.json's `cost`; NaN where there is none."""
        return self.costs[key] if key in self.costs else self._median("cost", key)

    @property
    def gap(self) -> float:
        """Generalisation gap of the validation score at the best step, median over the runs; NaN if unknown."""
        return self._median("training", "gap")

    def _median(self, part: str, key: str) -> float:
        values = [(run.record.get(part) or {}).get(key) for run in self.runs]
        known = [float(value) for value in values if isinstance(value, int | float)]
        return float(np.median(known)) if known else float("nan")

    @property
    def seeds(self) -> list[Any]:
        """Seeds of its runs, each once."""
        return sorted({run.record["seed"] for run in self.runs})

    @property
    def folds(self) -> list[Any]:
        """Folds of its runs, each once."""
        return sorted({run.record["fold"] for run in self.runs})


@dataclass(frozen=True)
class Loaded:
    """The methods and scores to compare, and what was left out of them.

    Attributes:
        sets: the scores of each data set.
        methods: in the order of the scores' methods.
        unfinished: runs that are not compared, and why.
        notes: what was left out or is doubtful.
        subgroups: divisions of the cases that were asked for.
        references: the scores of the methods against further annotators, by their names.
        places: names of the folders or of the table that they are from.
        elsewhere: files and folders of methods that were trained or scored elsewhere.
    """

    sets: list[Scores]
    methods: list[Method]
    unfinished: list[Unfinished] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    subgroups: list[Subgroups] = field(default_factory=list)
    references: Mapping[str, list[Scores]] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    elsewhere: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Rules:
    """Rules for runs and scores that do not match.

    Attributes:
        strict: whether to refuse, or to compare what they have in common.
        missing: what a missing score counts, see `tabulate`.
        absent: what a case counts that both reference and prediction lack the class of, see `tabulate`.
        better: for metrics that no run describes, "larger" or "smaller", or which for each.
        rename: new names of methods.
        select: settings whose best value is taken for each method, see `best_by_validation`.
        annotators: whether to rank further annotators as methods, where the runs scored them.
        may_differ: facts that need not be the same in all runs, as `check_fairness` names them.
    """

    strict: bool = True
    missing: Missing = None
    absent: Absent = "ignore"
    better: str | Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    may_differ: tuple[str, ...] = ()
    annotators: bool = True


@dataclass(frozen=True)
class Trained:
    """Runs as methods, before they are checked and compared.

    Attributes:
        runs: finished ones, each once.
        names: the method of each.
        frame: their scores, with the column method.
        unfinished: runs that are not compared, and why.
        notes: what was left out.
    """

    runs: Sequence[Run]
    names: Sequence[str]
    frame: pd.DataFrame
    unfinished: Sequence[Unfinished]
    notes: Sequence[str]


def read_methods(directories: Sequence[Path], rules: Rules) -> Trained:
    """Read run directories.

    Raises:
        UserError: if one cannot be read, or none is finished.
    """
    runs, unfinished = read_runs(directories)
    left_out = [f"not compared: {run.path} ({run.reason})" for run in unfinished]
    if not runs:
        raise UserError(f"none of the {len(directories)} runs is finished; {left_out[0]}")
    runs, copies = without_copies(runs)
    runs = told_apart(runs)
    runs.sort(key=lambda run: (run.dataset, run.name, run.record["seed"], run.record["fold"], run.id))
    runs, selected = best_by_validation(runs, rules.select)
    names = name_methods(runs, ignored=rules.select)
    runs, names, unused = without_unused_choices(runs, names)
    frame = read_scores(runs)
    frame["method"] = pd.Categorical(names, categories=sorted(set(names))).take(frame["run"].to_numpy())
    return Trained(runs, names, frame, unfinished, [*left_out, *copies, *selected, *unused])


def load_runs(directories: Sequence[Path], rules: Rules) -> Loaded:
    """Read and check run directories.

    Raises:
        UserError: if one cannot be read, there are not enough, or they cannot be compared.
    """
    return load_methods(read_methods(directories, rules), (), rules)


def load_methods(
    trained: Trained | None, elsewhere: Sequence[Elsewhere], rules: Rules, metrics: Sequence[str] = ()
) -> Loaded:
    """Check runs and methods from elsewhere, and put their scores into arrays.

    Args:
        trained: the runs, None where there are none.
        elsewhere: methods from elsewhere.
        rules: for what does not match.
        metrics: those that are ranked; none: the first that the runs name.

    Raises:
        UserError: if there are not enough methods, or they cannot be compared.
    """
    runs = [] if trained is None else list(trained.runs)
    frame = None if trained is None else trained.frame
    told: list[str] = []
    if elsewhere:
        frame, told = joined(frame, runs, elsewhere, metrics)
    assert frame is not None
    own = [] if trained is None else trained.names
    order = list(map(str, frame["method"].cat.categories))
    new = dict(zip(order, renamed(order, rules.rename), strict=True))
    names = [new[name] for name in own]
    first = sorted(set(names))
    categories = [*first, *(name for name in new.values() if name not in first)]
    frame["method"] = frame["method"].cat.rename_categories(new).cat.reorder_categories(categories)
    if len(order) < 2:
        left = 0 if trained is None else len(trained.unfinished)
        reason = f" ({left} more runs are not finished)" if left else ""
        raise UserError(
            f"only one method ('{new[order[0]]}', {len(runs)} runs){reason}: a comparison needs at least two"
        )
    frame, notes = check_fairness(
        frame, runs, strict=rules.strict, fill=rules.missing is not None, may_differ=rules.may_differ
    )
    stated = {metric: way for table in reversed(elsewhere) for metric, way in table.better.items()}
    better = directions(frame["metric"].unique(), rules.better, runs, stated)
    people = annotators_of(runs) if rules.annotators else []
    if people:
        frame = with_people(frame, runs, people)
    sets = tabulate(frame, better, missing=rules.missing, absent=rules.absent)
    of_method: dict[str, list[Run]] = {}
    for run, name in zip(runs, names, strict=True):
        of_method.setdefault(name, []).append(run)
    methods = [Method(name, tuple(of_method.get(name, ()))) for name in sets[0].methods]
    references = other_references(runs, names, people, better, rules.missing)
    paths = tuple(path for table in elsewhere for path in table.paths)
    unfinished = [] if trained is None else list(trained.unfinished)
    told = [*([] if trained is None else trained.notes), *told, *notes, *_leaks(runs)]
    return Loaded(sets, methods, unfinished, told, references=references, elsewhere=paths)


def _leaks(runs: Sequence[Run]) -> list[str]:
    """A note for each data set in which the networks know images that they are tested on."""
    notes = {}
    for run in runs:
        facts = run.record["dataset"]
        if (found := facts.get("leaks")) and run.dataset not in notes:
            notes[run.dataset] = f"{run.dataset}, fold {run.record['fold']}: {warning(found, facts['cases']['test'])}"
    return list(notes.values())


def load_table(path: Path, metrics: Sequence[str], rules: Rules) -> Loaded:
    """Read scores made by any other tool; see `read_score_table`.

    Raises:
        UserError: if the table cannot be read or compared.
    """
    frame = read_score_table(path, metrics)
    frame, others = by_reference(frame)
    frame = completed(frame)
    names = renamed(frame["method"].tolist(), rules.rename)
    frame["method"] = pd.Categorical(names, categories=list(dict.fromkeys(names)))
    frame, notes = check_fairness(frame, (), strict=rules.strict, fill=rules.missing is not None)
    better = directions(frame["metric"].unique(), rules.better)
    sets = tabulate(frame, better, missing=rules.missing, absent=rules.absent)
    references = {
        name: tabulate(of_one.replace({"method": dict(rules.rename)}), better, missing=rules.missing)
        for name, of_one in others.items()
    }
    return Loaded(sets, [Method(name) for name in sets[0].methods], notes=notes, references=references)


def with_costs(loaded: Loaded, path: Path) -> Loaded:
    """The same with the costs of a table; see `read_costs`.

    Raises:
        UserError: if it cannot be read, or lacks a method.
    """
    costs, notes = read_costs(path, [method.name for method in loaded.methods])
    methods = [replace(method, costs=costs[method.name]) for method in loaded.methods]
    return replace(loaded, methods=methods, notes=[*loaded.notes, *notes])
