"""Runs read back from Weights & Biases: what they logged, as run directories."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from segbench.errors import UserError, as_line
from segbench.system.atomic import replaced, write_atomically

if TYPE_CHECKING:
    import wandb

ARTIFACT = "cases"
"""Type of the artifact of a finished run: cases.csv, config.yaml, run.json, split.json."""
JOB = "train"
FILTERS = {"group": "group", "tag": "tags", "name": "display_name", "state": "state"}


def fetch_runs(address: str, api: wandb.Api | None = None) -> list[Path]:
    """Download what runs logged; what was downloaded before is not downloaded again.

    Args:
        address: entity/project?group=NAME, also with tag=, name= or state=, joined by &.
        api: the client; None: one for the account that is logged in.

    Returns:
        A run directory for each run. One that logged no scores has a run.json with its state alone.

    Raises:
        UserError: if the address is wrong, W&B cannot be reached, or has no such run.
    """
    import wandb

    project, filters = parse_address(address)
    try:
        api = api or wandb.Api()
        runs = list(api.runs(project, filters={"jobType": JOB, **filters}))
        folders = [_fetch(run, project) for run in runs]
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise UserError(f"runs=wandb:{address}: {as_line(error)}") from error
    if not folders:
        raise UserError(f"runs=wandb:{address}: there is no such run")
    return folders


def parse_address(address: str) -> tuple[str, dict[str, Any]]:
    """The project and the filters of W&B's public API.

    Raises:
        UserError: if it is not entity/project?key=value.
    """
    project, _, query = address.partition("?")
    if project.count("/") != 1 or not all(project.split("/")):
        raise UserError(f"runs=wandb:{address}: must be wandb:entity/project, such as wandb:me/segbench?group=sweep")
    filters: dict[str, Any] = {}
    for key, values in parse_qs(query, keep_blank_values=True).items():
        if key not in FILTERS:
            raise UserError(f"runs=wandb:{address}: '{key}' is no filter; use {', '.join(FILTERS)}")
        filters[FILTERS[key]] = values[0] if len(values) == 1 else {"$in": values}
    return project, filters


def _fetch(run: Any, project: str) -> Path:
    """One run, as a directory in the cache."""
    artifacts = [artifact for artifact in run.logged_artifacts() if artifact.type == ARTIFACT]
    version = artifacts[-1].version if artifacts else run.state
    folder = _cache() / project / f"{run.id}-{version}"
    record = folder / "run.json"
    if artifacts and not record.exists():
        with replaced(folder, mark=record.name) as incomplete:
            artifacts[-1].download(root=str(incomplete))
    folder.mkdir(parents=True, exist_ok=True)
    facts = json.loads(record.read_text()) if record.exists() else {}
    facts |= {"status": run.state if artifacts else f"{run.state}, logged no scores", "wandb_url": run.url}
    write_atomically(record, json.dumps(facts, indent=2) + "\n")
    return folder


def _cache() -> Path:
    return Path(os.environ.get("SEGBENCH_CACHE", "~/.cache/segbench")).expanduser() / "wandb"
