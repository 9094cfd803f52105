"""The check that runs can be compared: the same cases, classes, metrics, budget and code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from segbench.compare.reading.naming import suggestion
from segbench.compare.reading.runs import Run
from segbench.errors import UserError
from segbench.runs.criterion import Criterion

LISTED = 3
KEYS = ["trained_on", "dataset", "split"]
REMEDY = "strict=false compares what they have in common"


def check_fairness(
    frame: pd.DataFrame, runs: Sequence[Run], *, strict: bool, fill: bool, may_differ: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Refuse to compare what cannot be compared, or reduce it to what the runs have in common.

    Args:
        frame: all scores, see `tabulate`; with the column `run` where they are of runs.
        runs: the runs by number; none for scores from elsewhere.
        strict: whether to refuse; else what differs is left out.
        fill: whether a policy for missing scores is named, so that cases may differ.
        may_differ: names of facts that are allowed to differ, such as budget.batch_size.

    Returns:
        The scores that are compared, and a note on each difference and each thing left out.

    Raises:
        UserError: if the runs differ and `strict`, or have nothing in common.
    """
    notes = []
    for difference, allowed in _differences(frame, runs, may_differ):
        if strict and not allowed:
            raise UserError(f"{difference}; {REMEDY}")
        notes.append(f"{difference}; {'allowed by may_differ' if allowed else 'compared nevertheless'}")
    for keep in (_common_data_sets, _common_rows, *(() if fill else (_common_cases,))):
        for difference, reduced in keep(frame):
            if strict:
                raise UserError(f"{difference}; {REMEDY}")
            if reduced.empty:
                raise UserError(f"{difference}, and nothing is left to compare")
            notes.append(f"{difference}: left out")
            frame = reduced
    return frame, notes


def _differences(frame: pd.DataFrame, runs: Sequence[Run], may_differ: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Differences between two runs on one data set that ought to agree, and whether each is allowed."""
    methods: dict[int, str] = dict(frame[["run", "method"]].drop_duplicates().itertuples(index=False)) if runs else {}
    firsts: dict[str, int] = {}
    repetitions: dict[tuple[Any, ...], int] = {}
    told: set[tuple[str, str]] = set()
    for number, run in enumerate(runs):
        repetition = (methods[number], run.dataset, run.record["seed"], run.record["fold"])
        other = repetitions.setdefault(repetition, number)
        if other != number:
            raise UserError(
                f"{runs[other].path} and {run.path} are one method ('{repetition[0]}')"
                " with the same data set, seed and fold; leave one out"
            )
        first = runs[firsts.setdefault(run.dataset, number)]
        ours, theirs = _must_agree(first), _must_agree(run)
        keys = [key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)]
        new = [key for key in keys if (run.dataset, key) not in told]
        told |= {(run.dataset, key) for key in keys}
        for allowed in (False, True):
            kinds = [key for key in new if (key in may_differ) == allowed]
            if kinds:
                difference = _told(kinds, ours, theirs)
                yield f"runs {first.path} and {run.path} on '{run.dataset}' differ in {difference}", allowed


def _told(kinds: Sequence[str], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """The first of the facts in which two runs differ, with its values, and the names of the others."""
    first, second = ours.get(kinds[0]), theirs.get(kinds[0])
    more = f" (and {', '.join(kinds[1:])})" if kinds[1:] else ""
    return f"{kinds[0]}: {_brief(first)} and {_brief(second)}{_spelling(first, second)}{more}"


def _must_agree(run: Run) -> dict[str, Any]:
    """The facts of a run that decide whether its scores mean the same as another's."""
    record, data = run.record, run.record["dataset"]
    facts = {
        "classes": data.get("classes"),
        "background": data.get("background"),
        "images and masks (fingerprint)": data.get("fingerprint"),
        "which metrics are better when smaller": record["metrics"],
        "git commit": _code(record),
    }
    facts["metrics.choose_by"] = " and ".join(Criterion.of(record).metrics)
    for group, label in (("budget", "budget"), ("metric_settings", "metrics"), ("versions", "version of")):
        joint = " " if label == "version of" else "."
        facts = {f"{label}{joint}{key}": value for key, value in _flat(record.get(group) or {}).items()} | facts
    return facts


def _code(record: Mapping[str, Any]) -> str | None:
    """The code of a run: its commit, and of changed files and of a run by several states what they were."""
    commit = (record.get("git") or {}).get("commit")
    states = record.get("code") or []
    if len(states) < 2 and not any(state["dirty"] for state in states):
        return commit
    of_state = (
        f"{str(state['commit'])[:10]} (files {state['digest']}) from step {state['from_step']}" for state in states
    )
    return ", ".join(of_state)


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _brief(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _spelling(first: Any, second: Any) -> str:
    """A hint where names differ in letters only."""
    if not (isinstance(first, list) and isinstance(second, list)):
        return ""
    odd = [str(name) for name in second if name not in first]
    hints = [(name, suggestion(name, [str(o) for o in first if o not in second])) for name in odd]
    close = [f"'{name}'{hint}" for name, hint in hints if "did you mean" in hint]
    return f" ({close[0]})" if close else ""


def _common_data_sets(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Data sets that some method was not run on."""
    seen = frame[frame["split"] == "test"]
    methods = list(frame["method"].unique())
    for dataset, of_data in seen.groupby("dataset", observed=True, sort=False):
        lacking = [method for method in methods if method not in set(of_data["method"].unique())]
        if lacking:
            frame = frame[frame["trained_on"] != dataset]
            yield f"data set '{dataset}': no scores of {listed(lacking)}", frame


def _common_rows(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Metrics of classes that some method has no score of at all."""
    for key, of_set in _sets(frame):
        everyone = set(of_set["method"].unique())
        have: dict[tuple[str, str], set[str]] = {}
        for method, metric, label in of_set[["method", "metric", "class"]].drop_duplicates().itertuples(index=False):
            have.setdefault((metric, label), set()).add(method)
        for (metric, label), methods in have.items():
            if methods != everyone:
                here = (frame[KEYS] == list(key)).all(axis=1) & (frame["metric"] == metric) & (frame["class"] == label)
                frame = frame[~here]
                lacking = sorted(everyone - methods)
                yield f"data set '{key[1]}', {metric} of class '{label}': no score of {listed(lacking)}", frame


def _common_cases(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Cases that some seed of some method was not tested on."""
    for key, of_set in _sets(frame):
        cases: dict[tuple[str, int], set[str]] = {}
        for method, seed, case in of_set[["method", "seed", "case"]].drop_duplicates().itertuples(index=False):
            cases.setdefault((method, seed), set()).add(case)
        union, common = set.union(*cases.values()), set.intersection(*cases.values())
        if union == common:
            continue
        (method, seed), fewest = min(cases.items(), key=lambda item: len(item[1]))
        here = (frame[KEYS] == list(key)).all(axis=1)
        of_runs = "run" not in of_set or (of_set["run"][of_set["method"] == method] >= 0).all()
        of_seed = f" with seed {seed}" if of_runs else ""
        lacks = f"'{method}'{of_seed} lacks {listed(sorted(union - fewest))}"
        what = "test cases" if key[2] == "test" else f"unseen cases (trained on '{key[0]}')"
        yield (
            f"{what} of '{key[1]}' differ: {len(common)} of {len(union)} are common to all runs; {lacks}",
            frame[~here | frame["case"].isin(common)],
        )


def _sets(frame: pd.DataFrame) -> list[tuple[tuple[str, ...], pd.DataFrame]]:
    """The scores of each data set."""
    return [(tuple(map(str, key)), lines) for key, lines in frame.groupby(KEYS, observed=True, sort=False)]  # type: ignore[arg-type]


def listed(names: Sequence[str]) -> str:
    """Names for a message: 'a', 'b' and 3 more."""
    shown = ", ".join(f"'{name}'" for name in names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"
