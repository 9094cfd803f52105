"""Runs that predict together: those that are named, or all folds and seeds of one method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.runs.discovery import RECORD, find_runs
from segbench.runs.stages import StageRun, check_one_method


def ensemble(run: str | Sequence[str], key: str = "run") -> list[Path]:
    """The run directories that a value of `run` names.

    A run directory, a list of them, a folder, or the begin of the names of runs in one: SWEEP/unet are those called
    SWEEP/unet-.., such as unet-fold0-.. . All runs of a folder must be finished, of one method, and of all folds if of
    several.

    Raises:
        UserError: where there is none, one is not finished, a fold is missing, or they have not the same classes.
    """
    places = [run] if isinstance(run, str) else list(run)
    found: list[Path] = []
    for place in places:
        named = Path(place).expanduser()
        found += [named] if (named / RECORD).exists() or not _holds_runs(place) else _of_folder(place, key)
    _check_alike(list(dict.fromkeys(found)), key)
    return list(dict.fromkeys(found))


def _holds_runs(place: str) -> bool:
    """Return whether a place without run.json holds runs; else it is a wrong run, and whoever loads it says so."""
    path = Path(place).expanduser()
    if path.is_dir():
        return bool(find_runs(place, may_be_none=True)) and not (path / "config.yaml").exists()
    return bool(_matching(place))


def _matching(place: str) -> list[Path]:
    """The directories of a glob, or those whose names begin with that of a place that is not there."""
    path = Path(place).expanduser()
    pattern = path.name if set("*?[") & set(path.name) else f"{path.name}-*"
    return sorted(one for one in path.parent.glob(pattern) if one.is_dir()) if path.parent.is_dir() else []


def _of_folder(place: str, key: str) -> list[Path]:
    """The runs of a folder or glob, which must be complete."""
    path = Path(place).expanduser()
    runs = find_runs(place if path.is_dir() else [str(one) for one in _matching(place)], key=key)
    records = {run: RunDirectory(run).record for run in runs}
    for run, record in records.items():
        if record.get("status") != "finished":
            raise UserError(
                f"{key}={place}: the run {run} is not finished (status {record.get('status', 'unknown')}): start its"
                f" command again, or name finished runs alone, {key}=[RUN,RUN]"
            )
    check_one_method([StageRun(run.absolute(), record) for run, record in records.items()], f"{key}={place}")
    if missing := missing_folds(runs):
        raise UserError(
            f"{key}={place}: lacks runs of fold={','.join(map(str, missing))}: train these, or name the runs that are"
            f" to be averaged, {key}=[RUN,RUN]"
        )
    return runs


def missing_folds(runs: Sequence[Path]) -> list[int]:
    """The folds that none of some runs has, if they are of several."""
    records = [RunDirectory(run).record for run in runs]
    there = {int(record["fold"]) for record in records}
    return sorted(set(range(max(int(record["folds"]) for record in records))) - there) if len(there) > 1 else []


def _check_alike(runs: Sequence[Path], key: str) -> None:
    """Check that runs find the same classes."""
    if len(runs) < 2:
        return
    classes = {run: RunDirectory(run).record.get("dataset", {}).get("classes") for run in runs}
    first = runs[0]
    for run, names in classes.items():
        if names != classes[first]:
            raise UserError(f"{key}: {first} and {run} find other classes ({classes[first]} and {names})")
