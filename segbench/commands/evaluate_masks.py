"""Masks made by any other tool, scored against reference masks of the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from segbench.commands.tables import show_cases
from segbench.config.schema import require
from segbench.data.files import check_pairs
from segbench.data.formats import image_files, read_mask
from segbench.data.labels import LabelMapping
from segbench.errors import UserError
from segbench.evaluation.scoring import CaseScorer
from segbench.metrics.configured import functions
from segbench.runs.directory import CASE_COLUMNS
from segbench.system.atomic import write_atomically


def evaluate_masks(config: DictConfig) -> None:
    """Score the folder `prediction` against the folder `reference`.

    Raises:
        UserError: where files do not pair, sizes differ, or a value has no class.
    """
    prediction = image_files(Path(require(config, "prediction")), "prediction")
    reference = image_files(Path(require(config, "reference")), "reference")
    check_pairs(prediction, reference, "reference mask")
    mapping, classes = _mapping(config, reference)
    metrics = config.get("metrics") or _standard_metrics()
    objects = config.masks_are == "instances"
    scorer = CaseScorer(
        classes=classes,
        background=config.background,
        class_metrics=functions(metrics, "classes"),
        object_metrics=functions(metrics, "objects"),
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
    return DictConfig(compose(config_name="evaluate", overrides=["metrics=standard"]).metrics)
