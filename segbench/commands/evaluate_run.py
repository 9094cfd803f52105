"""A finished run scored again: on its own test cases, or on a data set that it never saw."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from segbench.commands.run_scores import show_cases
from segbench.data.case import IGNORE, Dataset
from segbench.data.datamodule import WholeCases
from segbench.data.preparation import seen_cases
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.metrics.configured import directions
from segbench.metrics.score import OBJECTS
from segbench.runs.directory import read_cases
from segbench.runs.training_images import TrainingImages
from segbench.training import assembly
from segbench.training.predictor import FinishedRun, load_run
from segbench.training.stages import StagePredictions

log = logging.getLogger(__name__)

Rows = Sequence[Mapping[str, Any]]


def evaluate_run(config: DictConfig) -> Path:
    """Score the run that the configuration names, and write the scores into a file of its directory.

    Raises:
        UserError: where there is no such run, or its network does not fit the data set.
    """
    finished = load_run(Path(config.run), config.accelerator, trusted=config.trust, stages=config.stages)
    if config.get("metrics") is not None:
        finished.config.metrics = config.metrics
        ways = directions(config.metrics)
        known = {**finished.directory.record["metrics"], **ways["classes"], **ways["objects"], **ways["probabilities"]}
        finished.directory.update(metrics=known)  # for the comparison
    if config.get("data") is None:
        name, rows = "cases.csv", _own_cases(finished)
    else:
        name, rows = _unseen_cases(finished, config)
    path = finished.directory.write_cases(rows, name)
    console = Console()
    show_cases(read_cases(path), f"{finished.directory.record['name']}: mean over {rows[0]['dataset']}", console)
    console.print(f"scores  {path}", soft_wrap=True, highlight=False)
    return path


def _own_cases(finished: FinishedRun) -> Rows:
    """The run's test cases again."""
    data = assembly.build_data(finished.config, _predictions(finished, finished.config.data.cache))
    recorded = finished.directory.record["dataset"]["fingerprint"]
    if data.store.fingerprint != recorded:
        raise UserError(f"data.root={finished.config.data.root}: holds other images than the run was trained on")
    finished.module.scorer = assembly.build_scorer(finished.config, finished.labels, "test")
    # By the data set, not by the run: run.json of earlier versions does not say which classes form objects.
    finished.module.decoder = assembly.build_decoder(finished.config, assembly.Labels.of(data.dataset))
    finished.trainer.test(finished.module, data, verbose=False)
    return finished.module.rows


def _unseen_cases(finished: FinishedRun, config: DictConfig) -> tuple[str, Rows]:
    """The cases of another data set that the run does not know, by the classes that both have, and their file."""
    dataset, store = assembly.build_dataset(config)
    if store.fingerprint == finished.directory.record["dataset"]["fingerprint"]:
        raise UserError(f"data: the run was trained on {dataset.name}; leave data out to score its test cases again")
    unseen = _unseen_ids(finished, dataset, store)
    store = _predictions(finished, config.data.cache)(dataset.name, store, unseen)
    network_input = assembly.network_input(finished.config, store)
    slices = assembly.slices_of(finished.config)
    channels = network_input.channels(dataset.channels * (1 if slices is None else slices.width))
    if channels != finished.config.measured.in_channels:
        raise UserError(
            f"data: {dataset.name} has {channels} channels; the run was trained on"
            f" {finished.config.measured.in_channels}"
        )
    shared, table = _class_table(finished.labels, dataset)
    for name, members in finished.config.measured.regions.items():
        if {finished.labels.classes[index] for index in members} <= shared:
            shared.add(str(name))
    labels = assembly.Labels(dataset.name, finished.labels.classes, finished.labels.background)
    finished.module.scorer = assembly.build_scorer(finished.config, labels, "unseen")
    seen = seen_cases(dataset, store, assembly.preparation(finished.config), config.data.cache)
    cases = WholeCases(store, unseen, network_input, seen, table)
    finished.trainer.test(finished.module, cases.loader(), verbose=False)
    rows = [row for row in finished.module.rows if row["class"] in shared | {OBJECTS}]
    return f"unseen/{dataset.name}.csv", rows


def _predictions(finished: FinishedRun, cache: str) -> StagePredictions:
    """The predictions of the run's stages, kept in the cache of the data set that is scored."""
    return StagePredictions(finished.stages, cache, finished.load)


def _unseen_ids(finished: FinishedRun, dataset: Dataset, store: CaseStore) -> list[str]:
    """The cases whose images neither trained nor validated the run, nor one that its weights come from, nor a stage.

    Raises:
        UserError: where there is none.
    """
    known = TrainingImages.of_run(finished.directory) | TrainingImages.of_stages(finished.directory)
    seen = [case for case in store.ids if known.has(dataset.name, store.meta(case))]
    if len(seen) == len(store):
        raise UserError(
            f"data: the run was trained or validated on all {len(store)} images of {dataset.name}; leave data out to"
            " score its test cases again, or give images that it never saw"
        )
    if seen:
        log.info(
            "%d of %d cases of %s are left out, such as %s: the run was trained or validated on their images",
            len(seen), len(store), dataset.name, seen[0],
        )  # fmt: skip
    left_out = set(seen)
    return [case for case in store.ids if case not in left_out]


def _class_table(labels: assembly.Labels, dataset: Dataset) -> tuple[set[str], np.ndarray]:
    """The scored classes that both know, and for each class of the data set the run's class.

    A class that the run does not know counts as background.
    """
    known = {name: index for index, name in enumerate(labels.classes)}
    background = 0 if labels.background is None else labels.background
    table = np.full(256, background, dtype=np.uint8)
    table[IGNORE] = IGNORE
    for index, name in enumerate(dataset.classes):
        table[index] = known.get(name, background)
    shared = {name for index, name in enumerate(dataset.classes) if name in known and index != dataset.background}
    shared -= {labels.classes[labels.background]} if labels.background is not None else set()
    if not shared:
        raise UserError(
            f"data: the run knows the classes {', '.join(labels.classes)}, {dataset.name} has"
            f" {', '.join(dataset.classes)}: none to score in common"
        )
    left_out = [name for index, name in enumerate(dataset.classes) if name not in known and index != dataset.background]
    if left_out:
        Console().print(f"not known to the run, counted as background: {', '.join(left_out)}", highlight=False)
    return shared, table
