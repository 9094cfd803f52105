"""Uploads to W&B from the disk: a run from its run directory, a comparison from its folder.

The run directory is uploaded, not wandb's own offline files: those of a run that was continued repeat the
steps since its last checkpoint, metrics.csv has each step once. The server is asked how far it got, and is
sent what comes after that.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import wandb

from segbench.loggers import wandb_access
from segbench.loggers.wandb_run import columns, identity, log_files, log_result, log_row, pictures
from segbench.runs.curves import read_curves
from segbench.runs.uploads import COMPARE_JOB

_PAGE = 100
_PATIENCE = 20.0
"""Seconds in which the server should know what it was sent."""


@dataclass(frozen=True)
class Project:
    """A place in W&B; `entity` None is the account's default."""

    project: str
    entity: str | None
    group: str | None


@dataclass(frozen=True)
class Limits:
    """Seconds to wait for the server to begin a run, and to take the rest at its end."""

    start: float
    close: float


def upload_run(
    path: Path, record: Mapping[str, Any], config: Mapping[str, Any], place: Project, limits: Limits
) -> wandb.Run:
    """Upload what the server does not have of a run.

    Args:
        path: the run directory, in which nobody writes meanwhile.
        record: its run.json.
        config: its config.yaml.
        place: where it goes.
        limits: how long to wait.

    Returns:
        The W&B run, finished.

    Raises:
        wandb.errors.Error, OSError: where W&B refuses it or is lost; TimeoutError is one of the latter.
    """
    tags = ((config.get("logger") or {}).get("wandb") or {}).get("tags") or ()
    who = identity(path, record, place.group, tags)
    with tempfile.TemporaryDirectory() as scratch:
        run = _begin({**who, "config": columns(config, record)}, place, limits, scratch)
        failed = True
        try:
            for step, values in read_curves(path):
                log_row(run, step, values)
            if record["status"] == "finished":
                _log_finished(run, path, record, limits.close)
            failed = record["status"] not in ("finished", "pruned")
        finally:
            run.finish(exit_code=1 if failed else 0)
    return run


def expected_lines(path: Path, record: Mapping[str, Any]) -> int:
    """Lines of history that the server has of a run when it has all of it."""
    return len(read_curves(path)) + (record["status"] == "finished" and bool(pictures(path)))


def states(place: Project, ids: Iterable[str], timeout: float) -> dict[str, tuple[str, int]]:
    """The server's knowledge of runs: their state and how many lines of history it has.

    Args:
        place: where they are.
        ids: of the runs.
        timeout: seconds to wait for an answer.

    Raises:
        wandb.errors.Error: where there is none.
    """
    api = _api(max(1, math.ceil(timeout)))
    api.flush()  # type: ignore[no-untyped-call]  # it keeps answers
    wanted = list(ids)
    known: dict[str, tuple[str, int]] = {}
    for start in range(0, len(wanted), _PAGE):
        page = wanted[start : start + _PAGE]
        found = api.runs(
            f"{place.entity or api.default_entity}/{place.project}", filters={"name": {"$in": page}}, per_page=_PAGE
        )
        try:
            known |= {run.id: (run.state, int(run.historyLineCount or 0)) for run in found}
        except ValueError:  # there is no such project yet
            return {}
    return known


@cache
def _api(timeout: int) -> wandb.Api:
    return wandb.Api(timeout=timeout)


def confirm(place: Project, run: str, lines: int, state: str, timeout: float) -> bool:
    """Return whether the server says, within some seconds, that it has a run: an upload may fail without a word."""
    until = time.monotonic() + _PATIENCE
    while True:
        found, count = states(place, [run], timeout).get(run, ("", 0))
        if found == state and count >= lines:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.5)


def upload_comparison(folder: Path, run_id: str, place: Project, limits: Limits) -> wandb.Run:
    """Upload the tables, figures and report of a comparison; a later version of it continues the same W&B run.

    Args:
        folder: of the comparison.
        run_id: of its W&B run.
        place: where it goes.
        limits: how long to wait.

    Raises:
        wandb.errors.Error, OSError: as above.
    """
    summary = json.loads((folder / "comparison.json").read_text())
    name = f"comparison of {place.group}" if place.group else "comparison"
    who = {"id": run_id, "name": name, "group": place.group, "job_type": COMPARE_JOB, "resume": "allow"}
    tags = [place.group[:64]] if place.group else []
    settings = {key: value for key, value in summary["settings"].items() if value is not None}
    config = {**settings, "methods": [method["name"] for method in summary["methods"]]}
    with tempfile.TemporaryDirectory() as scratch:
        run = _begin({**who, "tags": tags, "config": config}, place, limits, scratch)
        failed = True
        try:
            _log_comparison(run, folder, summary["verdict"], limits.close)
            failed = False
        finally:
            run.finish(exit_code=1 if failed else 0)
    return run


def _begin(who: Mapping[str, Any], place: Project, limits: Limits, scratch: str) -> wandb.Run:
    settings = wandb_access.quiet_settings(
        reinit="create_new",  # several at a time
        init_timeout=limits.start,
        finish_timeout=limits.close,
        finish_timeout_raises=True,
        x_disable_stats=True,
    )
    return wandb.init(**who, project=place.project, entity=place.entity, dir=scratch, mode="online", settings=settings)


def _log_finished(run: wandb.Run, path: Path, record: Mapping[str, Any], limit: float) -> None:
    from segbench.runs.directory import read_cases
    from segbench.runs.summary import summarise  # imports PyTorch, which only an upload needs

    cost = {f"cost/{key}": value for key, value in record["cost"].items() if isinstance(value, int | float)}
    log_result(run, path, record, summarise(read_cases(path / "cases.csv")) | cost)
    log_files(run, path).wait(timeout=round(limit))


def _log_comparison(run: wandb.Run, folder: Path, verdict: Mapping[str, Any], limit: float) -> None:
    tables = {}
    for path in sorted(folder.glob("*.csv")):
        try:
            tables[path.stem] = wandb.Table(dataframe=pd.read_csv(path))
        except pd.errors.EmptyDataError:
            continue
    figures = {f"figures/{path.stem}": wandb.Image(str(path)) for path in sorted(folder.glob("figures/*.png"))}
    report = wandb.Html((folder / "report.html").read_text(encoding="utf-8"), inject=False)
    run.log({**tables, **figures, "report": report})
    run.summary.update({"verdict": verdict["sentence"], "best": verdict["best"], "decided": verdict["decided"]})
    artifact = wandb.Artifact(f"comparison-{run.id}", type="comparison", metadata=dict(verdict))
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
    run.log_artifact(artifact).wait(timeout=round(limit))
