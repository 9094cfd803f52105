"""The command `evaluate`: scores for a finished run, or for masks made by any other tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from segbench import schema
from segbench.atomic import write_atomically
from segbench.data.case import IGNORE
from segbench.data.files import check_pairs, files_by_key
from segbench.data.images import EXTENSIONS, read_mask
from segbench.data.labels import LabelMapping
from segbench.errors import UserError
from segbench.metrics.score import OBJECTS
from segbench.rundir import CASE_COLUMNS, read_cases
from segbench.scoring import CaseScorer
from segbench.terminal import show_cases

if TYPE_CHECKING:
    from segbench.data.case import Dataset
    from segbench.finished import FinishedRun

Rows = Sequence[Mapping[str, Any]]


def evaluate(config: DictConfig) -> None:
    """Scores what the configuration names; see conf/evaluate.yaml.

    Raises:
        UserError: where it names neither a run nor two folders, or they cannot be scored.
    """
    folders = config.prediction is not None or config.reference is not None
    if folders == (config.run is not None):
        raise UserError("give either run=DIR, or prediction=DIR and reference=DIR")
    if folders:
        _evaluate_folders(config)
    else:
        _evaluate_run(config)


def _evaluate_run(config: DictConfig) -> None:
    from segbench.finished import load_run  # only now is PyTorch imported

    finished = load_run(Path(config.run), config.accelerator)
    if config.get("metrics") is not None:
        finished.config.metrics = config.metrics
    if config.get("data") is None:
        name, rows = "cases.csv", _own_cases(finished)
    else:
        name, rows = _unseen_cases(finished, config)
    path = finished.directory.write_cases(rows, name)
    console = Console()
    show_cases(read_cases(path), f"{finished.directory.record['name']}: mean over {rows[0]['dataset']}", console)
    console.print(f"scores  {path}", soft_wrap=True, highlight=False)


def _own_cases(finished: FinishedRun) -> Rows:
    """The run's test cases again."""
    data = schema.build_data(finished.config)
    recorded = finished.directory.record["dataset"]["fingerprint"]
    if data.store.fingerprint != recorded:
        raise UserError(f"data.root={finished.config.data.root}: holds other images than the run was trained on")
    finished.module.scorer = schema.build_scorer(finished.config, finished.labels, "test")
    finished.trainer.test(finished.module, data, verbose=False)
    return finished.module.rows


def _unseen_cases(finished: FinishedRun, config: DictConfig) -> tuple[str, Rows]:
    """All cases of another data set, by the classes that both have, and the file that they go to."""
    from segbench.data.datamodule import WholeCases

    dataset, store = schema.build_dataset(config)
    if store.fingerprint == finished.directory.record["dataset"]["fingerprint"]:
        raise UserError(f"data: the run was trained on {dataset.name}; leave data out to score its test cases again")
    if dataset.channels != finished.config.measured.in_channels:
        raise UserError(
            f"data: {dataset.name} has {dataset.channels} channels; the run was trained on"
            f" {finished.config.measured.in_channels}"
        )
    shared, table = _class_table(finished.labels, dataset)
    labels = schema.Labels(dataset.name, finished.labels.classes, finished.labels.background)
    finished.module.scorer = schema.build_scorer(finished.config, labels, "unseen")
    cases = WholeCases(store, store.ids, schema.normalization(finished.config), table)
    finished.trainer.test(finished.module, cases.loader(), verbose=False)
    rows = [row for row in finished.module.rows if row["class"] in shared or row["class"] == OBJECTS]
    return f"unseen/{dataset.name}.csv", rows


def _class_table(labels: schema.Labels, dataset: Dataset) -> tuple[set[str], np.ndarray]:
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


def _evaluate_folders(config: DictConfig) -> None:
    """Masks of any tool against reference masks of the same names."""
    prediction = _masks(Path(schema.require(config, "prediction")), "prediction")
    reference = _masks(Path(schema.require(config, "reference")), "reference")
    check_pairs(prediction, reference, "reference mask")
    mapping, classes = _mapping(config, reference)
    metrics = config.get("metrics") or _standard_metrics()
    objects = config.masks_are == "instances"
    scorer = CaseScorer(
        classes=classes,
        background=config.background,
        class_metrics=schema.build(metrics.classes, "metrics.classes"),
        object_metrics=schema.build(metrics.objects, "metrics.objects"),
        empty_distance=metrics.empty_distance,
        columns={"dataset": Path(config.reference).name, "split": "test", "fold": 0, "seed": 0},
    )
    rows: list[Mapping[str, Any]] = []
    for key, path in reference.items():
        true, found = read_mask(path), read_mask(prediction[key])
        if true.shape != found.shape:
            raise UserError(f"{prediction[key]} is {found.shape}, its reference {path} is {true.shape}")
        spacing = config.spacing or (1.0,) * true.ndim
        case = {
            "label": (true > 0).astype(np.uint8) if objects else mapping.apply(true, path),
            "instances": true.astype(np.int32) if objects else None,
            "spacing": spacing,
            "case_id": key,
            "group": key,
        }
        label = (found > 0).astype(np.uint8) if objects else mapping.apply(found, prediction[key])
        rows += scorer(label, found.astype(np.int32) if objects else None, case)
    table = pd.DataFrame(rows, columns=list(CASE_COLUMNS))
    console = Console()
    show_cases(table, f"{config.prediction}: mean over {len(reference)} cases", console)
    if config.output is not None:
        write_atomically(Path(config.output), table.to_csv(index=False))
        console.print(f"scores  {config.output}", soft_wrap=True, highlight=False)


def _masks(folder: Path, key: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: there is no such folder")
    files = files_by_key(folder, EXTENSIONS)
    if not files:
        raise UserError(f"{key}={folder}: holds no mask; known are {', '.join(EXTENSIONS)}")
    return files


def _mapping(config: DictConfig, reference: Mapping[str, Path]) -> tuple[LabelMapping, Sequence[str]]:
    """Pixel values and names of the classes: as configured, else all values up to the highest one found."""
    if config.masks_are == "instances":
        return _consecutive(2), ("background", "object")
    values = config["values"]  # `config.values` is a method
    if values is not None:
        names = config.classes or [f"class_{index}" for index in range(len(values))]
        return LabelMapping.parse(OmegaConf.to_object(values), (), len(names), "values"), list(names)  # type: ignore[arg-type]
    if config.classes is not None:
        return _consecutive(len(config.classes)), list(config.classes)
    found = sorted({int(value) for path in reference.values() for value in np.unique(read_mask(path))})
    mapping = LabelMapping(tuple((value,) for value in found))
    return mapping, [f"class_{value}" for value in found]


def _consecutive(count: int) -> LabelMapping:
    """Masks whose pixel values are the class indices."""
    return LabelMapping(tuple((index,) for index in range(count)))


def _standard_metrics() -> DictConfig:
    from hydra import compose

    return DictConfig(compose(config_name="evaluate", overrides=["metrics=standard"]).metrics)
