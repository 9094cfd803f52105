"""The command `postprocess`: whether only the largest region of a class is kept, by cross-validation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from segbench.commands.outputs import check_file
from segbench.config.schema import require
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory, read_split
from segbench.runs.ensembles import ensemble
from segbench.runs.stages import Stage, StageRun, check_one_method
from segbench.system.atomic import write_atomically

if TYPE_CHECKING:
    from segbench.evaluation.postprocessing import Postprocessing

_NAME = "postprocessed"
"""Of the array that the predictions are."""


def postprocess(config: DictConfig) -> None:
    """Decide by the test cases of all folds, each predicted by the run that did not know it, and write the decision.

    Raises:
        UserError: where the runs are not of one method, their data is not there, or the file cannot be written.
    """
    output = Path(require(config, "output"))
    check_file(output, "output", lambda text: json.loads(text)["rule"] == "largest region", "post-processing")
    paths = ensemble(require(config, "run"))
    runs = tuple(StageRun(path.absolute(), RunDirectory(path).record) for path in paths)
    check_one_method(runs, "run")
    found = _decide(config, runs)
    write_atomically(output, found.as_text())
    _show(found, output)


def _decide(config: DictConfig, runs: tuple[StageRun, ...]) -> Postprocessing:
    """Predict the test cases, and compare."""
    from segbench.evaluation.postprocessing import decide  # only now is PyTorch imported
    from segbench.training import assembly
    from segbench.training.predictor import load_run
    from segbench.training.stages import StagePredictions

    load = partial(load_run, accelerator=config.accelerator, trusted=config.trust, stages=config.stages)
    first = load(runs[0].path)
    if first.labels.background is None:
        raise UserError(f"run={runs[0].path}: its data has no background, which would take the place of small regions")
    if config.root is not None:
        OmegaConf.update(first.config, "data.root", config.root)
    dataset, store = assembly.build_dataset(first.config)
    if store.fingerprint != runs[0].record["dataset"]["fingerprint"]:
        raise UserError(f"root={first.config.data.root}: holds other images than the runs were trained on")
    cases = list(dict.fromkeys(case for run in runs for case in read_split(run.path)["test"]))
    predicted = StagePredictions((Stage(_NAME, runs),), first.config.data.cache, load)(dataset.name, store, cases)

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for name in cases:
            case = predicted[name]
            yield np.asarray(case.arrays[_NAME]), np.asarray(case.label)

    return decide(pairs, first.labels.classes, first.labels.background, [run.id for run in runs])


def _show(found: Postprocessing, output: Path) -> None:
    """Print what was tried, and what is done."""
    table = Table("largest region of", "class", "Dice", "with it", "done")
    for step in found.steps:
        of = ", ".join(found.names[index] for index in step.classes)
        for number, index in enumerate(step.classes):
            name = found.names[index]
            old, new = (f"{value:.4f}" if value is not None else "–" for value in (step.before[name], step.after[name]))
            table.add_row("" if number else of, name, old, new, "" if number else "yes" if step.kept else "no")
    console = Console()
    console.print(table)
    console.print(
        f"decided by {found.cases} cases of {len(found.runs)} runs: {output}", soft_wrap=True, highlight=False
    )
