"""Further annotators of the cases: people among the methods, and scores against other references than the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from segbench.compare.reading.runs import Run, read_scores
from segbench.compare.statistics.scores import Missing, Scores, tabulate
from segbench.errors import UserError

PERSON = "{} (annotator)"


def annotators_of(runs: Sequence[Run]) -> list[str]:
    """The annotators that all runs were scored against."""
    of_each = [[path.stem for path in sorted(run.path.glob("annotators/*.csv"))] for run in runs]
    return [name for name in (of_each[0] if of_each else []) if all(name in names for names in of_each)]


def with_people(frame: pd.DataFrame, runs: Sequence[Run], names: Sequence[str]) -> pd.DataFrame:
    """The scores with those of the annotators as of further methods, against the reference of the methods.

    Args:
        frame: scores of the runs, with the column method, a categorical.
        runs: that scored the annotators.
        names: of the annotators.

    Raises:
        UserError: where a method has the name of an annotator.
    """
    parts = [frame]
    for name in names:
        people = read_scores(runs, lambda run, name=name: [run.path / "annotators" / f"{name}.csv"])  # type: ignore[misc]
        people = people.drop_duplicates(["trained_on", "dataset", "case", "class", "metric"])
        people = people[people.set_index(_PLACE).index.isin(frame.set_index(_PLACE).index)]
        parts.append(people.assign(method=PERSON.format(name), seed=0, run=-1))
    methods = [*frame["method"].cat.categories, *(PERSON.format(name) for name in names)]
    if len(set(methods)) < len(methods):
        raise UserError(f"methods.rename: a method is called as an annotator, {methods[-1]}; rename the method")
    texts = dict.fromkeys(("dataset", "split", "case", "group", "class", "metric", "trained_on"), str)
    whole = pd.concat([part.astype(texts) for part in parts], ignore_index=True)
    return whole.assign(method=pd.Categorical(whole["method"], categories=methods))


_PLACE = ["trained_on", "dataset", "split", "case", "class", "metric"]


def other_references(
    runs: Sequence[Run], methods: Sequence[str], names: Sequence[str], better: Mapping[str, str], missing: Missing
) -> dict[str, list[Scores]]:
    """The scores of the methods against each annotator.

    Args:
        runs: that were scored against all of them.
        methods: the method of each run.
        names: of the annotators.
        better: the direction of each metric.
        missing: what a missing score counts, see `tabulate`.
    """
    found = {}
    for name in names:
        frame = read_scores(runs, lambda run, name=name: [run.path / "references" / f"{name}.csv"])  # type: ignore[misc]
        categories = list(dict.fromkeys(sorted(methods)))
        frame["method"] = pd.Categorical(list(methods), categories=categories).take(frame["run"].to_numpy())
        found[name] = tabulate(frame, better, missing=missing)
    return found


def by_reference(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """The scores against the first reference of a table, and those against each other one, by its name.

    Methods without scores against all of the others, as annotators against themselves, are left out of those.

    Args:
        frame: scores, with a column reference where there are several.
    """
    if "reference" not in frame:
        return frame, {}
    names = list(dict.fromkeys(frame["reference"]))
    parts = {name: frame[frame["reference"] == name].drop(columns="reference") for name in names}
    first, *others = names
    shared = set.intersection(*(set(parts[name]["method"]) for name in names))
    return parts[first], {name: parts[name][parts[name]["method"].isin(shared)] for name in others}
