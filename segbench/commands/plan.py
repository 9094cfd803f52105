"""The command `plan`: from the facts of a data set to patch, batch and network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from segbench.commands.outputs import check_file
from segbench.config.instantiation import build
from segbench.config.schema import require
from segbench.data.configured import open_dataset
from segbench.errors import UserError
from segbench.planning.fingerprint import Fingerprint, read_fingerprint
from segbench.planning.measuring import measure_fingerprint
from segbench.planning.plan import Plan
from segbench.planning.planner import Planner
from segbench.planning.summary import summarise
from segbench.system.atomic import write_atomically


def plan(config: DictConfig) -> None:
    """Plan for a data set or a fingerprint, write the plan, and say what was found and chosen.

    Raises:
        UserError: where there is neither or both, a file is none or cannot be written, or nothing fits.
    """
    planner: Planner = build(require(config, "plan"), "plan")
    if config.memory_gb is not None:
        planner = replace(planner, memory_gb=config.memory_gb)
    if (config.fingerprint is None) == ("data" not in config or config.data is None):
        raise UserError("give data=NAME or fingerprint=FILE.json, and not both")
    if config.fingerprint is not None:
        _plan_file(planner, Path(config.fingerprint), config.output)
    else:
        _plan_data(planner, config)


def _plan_file(planner: Planner, path: Path, output: str | None) -> None:
    if output is not None:
        check_file(Path(output), "output", lambda text: "configurations" in json.loads(text), "plan")
    fingerprint = read_fingerprint(path)
    found = planner.plan(fingerprint)
    if output is not None:
        write_atomically(Path(output), json.dumps(found.as_json(), indent=2) + "\n")
    _show(fingerprint, found)


def _plan_data(planner: Planner, config: DictConfig) -> None:
    folder = Path(config.output or ".")
    files = {"fingerprint.json": folder / "fingerprint.json", "plan.yaml": folder / "plan.yaml"}
    check_file(files["fingerprint.json"], "output", lambda text: "spacings" in json.loads(text), "fingerprint")
    check_file(files["plan.yaml"], "output", lambda text: "configurations" in yaml.safe_load(text), "plan")
    dataset, store = open_dataset(config.data)
    fingerprint = measure_fingerprint(dataset, [store.meta(case) for case in store.ids], config.data.crop)
    found = planner.plan(fingerprint)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output={folder}: cannot be made: {error.strerror or error}") from error
    write_atomically(files["fingerprint.json"], json.dumps(fingerprint.as_json()) + "\n")
    write_atomically(files["plan.yaml"], yaml.safe_dump(_with_memory(found), sort_keys=False, default_flow_style=None))
    _show(fingerprint, found)


def _with_memory(found: Plan) -> dict[str, Any]:
    """The plan's values, and the memory that it is for and that each configuration is estimated to need."""
    values = found.as_json()
    for name, one in found.configurations.items():
        values["configurations"][name]["memory_gb"] = round(one.memory_gb, 2)
    return {"memory_gb": found.memory_gb, **values}


def _show(fingerprint: Fingerprint, found: Plan) -> None:
    for line in summarise(fingerprint, found):
        print(line)
