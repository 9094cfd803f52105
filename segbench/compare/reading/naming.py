"""Names of methods: the differences from the other methods on the same data set."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from segbench.compare.reading.runs import Run
from segbench.config.identity import NOT_SCIENCE
from segbench.errors import UserError

NOT_A_METHOD_CHOICE = ("data", "experiment", "logger", "metrics", "trainer")
"""Choices that name no method: where and on what it runs, and choices whose content is compared itself."""
NOT_A_METHOD = (*NOT_SCIENCE, "seed", "fold", "folds", "split", "metrics", "data.dataset")
"""Settings that name no method."""
FIRST = ("ablation", "model", "loss", "optimizer")
"""Choices whose option speaks for itself; of the others the group is named too."""
SEPARATOR = " / "
FOR_STEPS = ("loss", "optimizer", "scheduler", "augmentation", "callbacks", "trainer", "task.objective")
"""Choices and settings that a method does not use which takes no optimizer steps."""


def name_methods(
    runs: Sequence[Run], rename: Mapping[str, str] | None = None, ignored: Iterable[str] = ()
) -> list[str]:
    """The method of each run.

    A choice (model, loss, ...) is in the name where it differs between runs on the same data set, unless
    it was not typed and follows from typed ones, such as the loss that a model brings. So is each stage of
    a cascade, by its name and model (coarse unet, no coarse). Among runs of equal choices, the settings that
    were typed and differ, then as few others as tell them apart. Seeds, folds, paths, loggers and devices never
    are. Runs that differ in nothing else are one method; so are runs whose remaining differences follow from
    seed and fold. A method that takes no optimizer steps has no loss, optimizer or augmentation in its name.

    Args:
        runs: of any number of data sets.
        rename: new names by the names given here.
        ignored: choices and settings that name no method here, such as a rate that each method has its own of.

    Raises:
        UserError: if `rename` names a method that is not there, or gives two the same name.
    """
    ignored = frozenset(ignored)
    choices = [_without(_choices(run), ignored) for run in runs]
    groups = _varying(runs, choices)
    groups = _telling(runs, choices, [g for g in FIRST if g in groups] + [g for g in groups if g not in FIRST])
    labels = [
        [_choice_label(group, choice.get(group)) for group in groups if _applies(run, group)]
        for run, choice in zip(runs, choices, strict=True)
    ]
    by_choice: dict[tuple[str, ...], list[int]] = {}
    for number, label in enumerate(labels):
        by_choice.setdefault(tuple(label), []).append(number)
    for alike in by_choice.values():
        for number, extra in zip(alike, _setting_labels([runs[k] for k in alike], ignored), strict=True):
            labels[number] = labels[number] + extra
    names = [
        SEPARATOR.join(label) or SEPARATOR.join(_fallback(choice))
        for label, choice in zip(labels, choices, strict=True)
    ]
    return renamed(names, rename or {})


def renamed(names: Sequence[str], rename: Mapping[str, str]) -> list[str]:
    """The names with some replaced.

    Raises:
        UserError: if `rename` names a method that is not there, or gives two the same name.
    """
    known = list(dict.fromkeys(names))
    for name in rename:
        if name not in known:
            raise UserError(f"methods.rename: no method is called '{name}'{suggestion(name, known)}")
    new = [rename.get(name, name) for name in known]
    for name in new:
        if new.count(name) > 1:
            raise UserError(f"methods.rename: two methods would be called '{name}'; give each its own name")
    return [rename.get(name, name) for name in names]


def suggestion(name: str, known: Sequence[str]) -> str:
    """Suggest a known name for an unknown one, as the end of an error."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(f'{k!r}' for k in known)}"


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Every choice and setting in which runs differ, seeds and folds aside: its value in each run."""
    tables = [choices_and_settings(run) for run in runs]
    keys = dict.fromkeys(key for table in tables for key in table)
    return {key: [t.get(key) for t in tables] for key in keys if len({_text(t.get(key)) for t in tables}) > 1}


def choices_and_settings(run: Run) -> dict[str, Any]:
    """The parts of a run's method: the option of each group, and the value of each dotted key."""
    return {**_choices(run), **_settings(run)}


def _choices(run: Run) -> dict[str, Any]:
    """The options that were chosen, and of each stage of a cascade its model."""
    options = {group: option for group, option in run.record["choices"].items() if group not in NOT_A_METHOD_CHOICE}
    used = {group: option for group, option in options.items() if _applies(run, group)}
    return used | {f"stages.{name}": stage["method"] for name, stage in _stages(run).items()}


def _applies(run: Run, key: str) -> bool:
    """Return whether a choice or setting has a part in a run's method."""
    return run.takes_steps or not any(key == unused or key.startswith(f"{unused}.") for unused in FOR_STEPS)


def _stages(run: Run) -> Mapping[str, Any]:
    return run.record.get("stages") or {}


def _settings(run: Run) -> dict[str, Any]:
    """The configuration as one level of dotted keys, less what names no method."""
    flat: dict[str, Any] = {}

    def flatten(node: Mapping[str, Any], prefix: str) -> None:
        for key, value in node.items():
            path = f"{prefix}{key}"
            if path in NOT_A_METHOD:
                continue
            if isinstance(value, Mapping) and value:
                flatten(value, f"{path}.")
            else:
                flat[path] = value

    flatten(run.config, "")
    return {key: value for key, value in flat.items() if _applies(run, key)}


def _without(table: Mapping[str, Any], keys: Set[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _varying(runs: Sequence[Run], tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose value differs between runs on the same data set, in order of appearance."""
    values: dict[str, dict[str, set[str]]] = {}
    keys = list(dict.fromkeys(key for table in tables for key in table))
    for run, table in zip(runs, tables, strict=True):
        of_data = values.setdefault(run.dataset, {})
        for key in keys:
            if _applies(run, key):
                of_data.setdefault(key, set()).add(_text(table.get(key)))
    return [key for key in keys if any(len(of_data.get(key, ())) > 1 for of_data in values.values())]


def _setting_labels(runs: Sequence[Run], ignored: Set[str]) -> list[list[str]]:
    """Labels of the settings that separate runs of equal choices."""
    settings = [_without(_settings(run), ignored) for run in runs]
    varying = _varying(runs, settings)
    typed = _typed(runs)
    kept = [key for key in varying if key in typed]
    others = [key for key in varying if key not in typed and not _follows_seed_and_fold(runs, settings, key)]
    for key in sorted(others, key=lambda key: (key.count("."), len(key))):
        if _parts(runs, settings, [*kept, key]) > _parts(runs, settings, kept):
            kept.append(key)
    short = _short_keys(kept)
    return [
        [f"{short[key]} {_shown(table.get(key))}" for key in kept if _applies(run, key)]
        for run, table in zip(runs, settings, strict=True)
    ]


def _telling(runs: Sequence[Run], choices: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> list[str]:
    """The differing groups that were typed, and as few others as it takes to separate the runs."""
    typed = _typed(runs)
    kept = [group for group in groups if group in typed]
    for group in groups:
        if group not in typed and _parts(runs, choices, [*kept, group]) > _parts(runs, choices, kept):
            kept.append(group)
    return [group for group in groups if group in kept]


def _typed(runs: Sequence[Run]) -> set[str]:
    typed = {_typed_key(override) for run in runs for override in run.record.get("overrides", ())}
    return typed | {f"stages.{name}" for run in runs for name in _stages(run)}  # however they were typed


def _parts(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> int:
    """The number of parts into which the keys split the runs."""
    rows = zip(runs, settings, strict=True)
    return len({(run.dataset, *(_text(table.get(key)) for key in keys)) for run, table in rows})


def _follows_seed_and_fold(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Return whether a setting is the same in all runs of one seed and fold, such as weights measured on a fold."""
    values: dict[tuple[Any, ...], set[str]] = {}
    for run, table in zip(runs, settings, strict=True):
        repetition = (run.dataset, run.record["seed"], run.record["fold"])
        values.setdefault(repetition, set()).add(_text(table.get(key)))
    return all(len(texts) == 1 for texts in values.values())


def _typed_key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The last part of each key, or the last two where that would be ambiguous."""
    last = [key.rpartition(".")[2] for key in keys]
    return {
        key: (name if last.count(name) == 1 else ".".join(key.split(".")[-2:])).replace("_", " ")
        for key, name in zip(keys, last, strict=True)
    }


def _choice_label(group: str, option: Any) -> str:
    group = group.removeprefix("stages.")
    if option is None:
        return f"no {group}"
    return str(option) if group in FIRST else f"{group} {option}"


def _fallback(choices: Mapping[str, Any]) -> Iterable[str]:
    return (str(choices[group]) for group in FIRST if group in choices)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return "-".join(map(_shown, value))
    return "none" if value is None else str(value)


def _text(value: Any) -> str:
    return repr(value)
