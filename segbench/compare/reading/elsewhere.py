"""Methods that were trained or scored elsewhere, beside runs: the same names of data sets, cases and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from segbench.compare.reading.comparability import listed
from segbench.compare.reading.runs import Run
from segbench.compare.statistics.scores import completed
from segbench.errors import UserError

TEXTS = ("dataset", "split", "case", "group", "class", "metric", "trained_on")
LISTED = 3


@dataclass(frozen=True)
class Elsewhere:
    """Scores of methods from elsewhere.

    Attributes:
        frame: columns method, case, class, metric, value, and where known dataset, group, fold, n_ref, n_pred.
        where: the place, for messages.
        better: the direction of metrics that the place knows.
        notes: what a reader has to know of it.
        paths: the files and folders that were read.
        classes: names by pixel value, where they are known.
        numbered: how many classes have numbers instead of names, counted from the first that the tool scored; 0: none.
    """

    frame: pd.DataFrame
    where: str
    better: Mapping[str, str] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    numbered: int = 0
    classes: Sequence[str] = ()

    @property
    def methods(self) -> list[str]:
        """Names of its methods, each once."""
        return list(dict.fromkeys(map(str, self.frame["method"])))


def joined(
    own: pd.DataFrame | None, runs: Sequence[Run], tables: Sequence[Elsewhere], metrics: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The scores of runs and of methods from elsewhere in one frame, and notes on the latter.

    Without runs, names are those of the first table. Metrics that a method lacks altogether are left out.

    Args:
        own: scores of the runs, with the column method; None: there are none.
        runs: the runs by number.
        tables: methods from elsewhere.
        metrics: those that are ranked.

    Raises:
        UserError: where two methods have one name, no case is in common, or a metric that is ranked is missing.
    """
    frame, notes = own, []
    for table in tables:
        fitted = completed(table.frame)
        if frame is not None:
            fitted, left = _fitted(fitted, table, frame, runs, tables)
            notes += left
            taken = [name for name in table.methods if name in set(frame["method"])]
            if taken and _again(frame, fitted):
                raise UserError(
                    f"{table.where}: another method is called '{taken[0]}'; name this one: 'NAME={table.where}'"
                )
        parts = [fitted.assign(run=-1)] if frame is None else [frame, fitted.assign(run=-1)]
        methods = list(dict.fromkeys(name for part in parts for name in _names(part)))
        frame = pd.concat([part.astype(dict.fromkeys(TEXTS, str)) for part in parts], ignore_index=True)
        frame["method"] = pd.Categorical(frame["method"].astype(str), categories=methods)
        notes += table.notes
    assert frame is not None
    names = list(dict.fromkeys(name for table in tables for name in table.methods))
    unknown = f"{listed(names)}: made elsewhere; seeds, training cases, budget, code and costs are not known"
    frame, left = _with_metrics_of_all(frame, metrics)
    return frame, [unknown, *notes, *left]


def _names(frame: pd.DataFrame) -> list[str]:
    column = frame["method"]
    return list(map(str, column.cat.categories if column.dtype == "category" else dict.fromkeys(column)))


def _again(frame: pd.DataFrame, more: pd.DataFrame) -> bool:
    """Return whether two tables have a score of one method, case, class and metric both."""
    keys = ["method", "dataset", "case", "class", "metric"]
    of_both = [set(map(tuple, part[keys].astype(str).to_numpy().tolist())) for part in (frame, more)]
    return bool(of_both[0] & of_both[1])


def _fitted(
    frame: pd.DataFrame, table: Elsewhere, own: pd.DataFrame, runs: Sequence[Run], tables: Sequence[Elsewhere]
) -> tuple[pd.DataFrame, list[str]]:
    """The scores of a table by the names of data sets and classes that the others have, and notes."""
    tested = own[own["split"] == "test"].astype({"dataset": str, "case": str, "class": str, "trained_on": str})
    parts, notes = [], []
    for name, part in frame.groupby("dataset", observed=True, sort=False):
        dataset = str(name) if name in set(tested["dataset"]) else _data_set_with(part, tested, table)
        of_set = tested[tested["dataset"] == dataset]
        facts = of_set.drop_duplicates("case").set_index("case")
        known = part["case"].isin(facts.index)
        if not known.any():
            raise UserError(
                f"{table.where}: none of its cases is a test case of '{dataset}': it has"
                f" {listed(list(part['case'].unique()))}; they are {listed(list(facts.index))}"
            )
        if runs:
            others = list(part["case"][~known].unique())
            if others:
                notes.append(
                    f"{table.where}: {len(others)} cases that no run was tested on are left out: {listed(others)}"
                )
            part = part[known]
            of_case = {name: part["case"].map(facts[name]) for name in ("group", "fold")}
            part = part.assign(**of_case)
        part = part.assign(dataset=dataset, trained_on=str(facts["trained_on"].iloc[0]), seed=facts["seed"].iloc[0])
        parts.append(
            part.assign(
                **{"class": _classes(part["class"], table, set(of_set["class"]), _class_names(dataset, runs, tables))}
            )
        )
    return pd.concat(parts, ignore_index=True), notes


def _data_set_with(part: pd.DataFrame, tested: pd.DataFrame, table: Elsewhere) -> str:
    """The data set that has most of the cases."""
    cases = set(part["case"])
    names = map(str, tested["dataset"].unique())
    return max(names, key=lambda name: len(cases & set(tested["case"][tested["dataset"] == name])))


def _class_names(dataset: str, runs: Sequence[Run], tables: Sequence[Elsewhere]) -> list[str]:
    """The names of the classes of a data set by pixel value; empty where nobody knows them."""
    known = [run.record["dataset"].get("classes") or [] for run in runs if run.dataset == dataset]
    known += [table.classes for table in tables if table.classes]
    return list(map(str, known[0])) if known else []


def _classes(column: pd.Series, table: Elsewhere, scored: set[str], names: Sequence[str]) -> pd.Series:
    """The classes by those names; numbers stand for the pixel value or, where they are `numbered`, for the place."""
    if table.numbered:
        foreground = [name for name in names if name in scored]
        order = foreground if table.numbered == len(foreground) else list(names) if table.numbered == len(names) else []
        meaning = {f"class{k}": name for k, name in enumerate(order)}
    else:
        meaning = {f"class_{k}": name for k, name in enumerate(names)}
    known = {label: meaning.get(label, label) for label in map(str, column.unique()) if label not in scored}
    return column.astype(str).replace(known)


def _with_metrics_of_all(frame: pd.DataFrame, metrics: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The scores by metrics that all methods have, and a note on the others."""
    tested = frame[frame["split"] == "test"]
    have = {
        str(method): set(map(str, lines["metric"].unique()))
        for method, lines in tested.groupby("method", observed=True, sort=False)
    }
    shared = set.intersection(*have.values())
    common = ", ".join(sorted(shared))
    lacking = {metric: [m for m, known in have.items() if metric not in known] for metric in metrics}
    for metric, without in lacking.items():
        if without and len(without) < len(have):
            raise UserError(f"metric={metric}: no such scores of {listed(without)}; all have {common}")
    if not shared:
        texts = [f"'{method}' has {', '.join(sorted(known))}" for method, known in list(have.items())[:LISTED]]
        raise UserError(f"no metric is common to all methods: {'; '.join(texts)}")
    left = [metric for metric in dict.fromkeys(map(str, tested["metric"])) if metric not in shared]
    if not left:
        return frame, []
    note = f"left out, since not all methods have them: {', '.join(left)}"
    return frame[frame["metric"].isin(shared)], [note]
