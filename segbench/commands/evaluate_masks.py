"""Masks made by any other tool, scored against reference masks of the same names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from hydra import compose
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from segbench.commands.outputs import check_file
from segbench.commands.run_scores import show_cases
from segbench.config.schema import require
from segbench.data.case import check_classes
from segbench.data.folders.files import check_pairs
from segbench.data.folders.spacing import parse_spacing
from segbench.data.formats import image_files
from segbench.data.formats.reader import Decoded
from segbench.evaluation.mask_folders import MaskFolder, Reference, consecutive, score_folders, value_mapping
from segbench.evaluation.scoring import CaseScorer
from segbench.metrics.configured import functions
from segbench.runs.directory import CASE_COLUMNS
from segbench.system.atomic import write_atomically


def evaluate_masks(config: DictConfig) -> None:
    """Score the folder `prediction` against the folder `reference`.

    Raises:
        UserError: where files do not pair, sizes differ, or a value has no class.
    """
    if config.output is not None:
        check_file(Path(config.output), "output", _is_table, "table of scores")
    prediction = image_files(Path(require(config, "prediction")), "prediction")
    reference = image_files(Path(require(config, "reference")), "reference")
    check_pairs(prediction, reference, "reference mask")
    given = config["values"] is not None or config.classes is not None  # `config.values` is a method
    objects = config.masks_are == "instances"
    if objects:
        mapping, classes = consecutive(2), ["background", "object"]
    else:
        values = OmegaConf.to_object(config["values"]) if config["values"] is not None else None
        mapping, classes = value_mapping(values, config.classes, reference, prediction.values(), config.reference)  # type: ignore[arg-type,assignment]
    check_classes(classes, "classes")
    metrics = config.get("metrics") or standard_metrics()
    scorer = CaseScorer(
        classes=classes,
        background=config.background,
        class_metrics=functions(metrics, "classes"),
        object_metrics=functions(metrics, "objects"),
        empty_distance=metrics.empty_distance,
        columns={"dataset": Path(config.reference).name, "split": "test", "fold": 0, "seed": 0},
    )
    true, found = (MaskFolder(files, None if objects else mapping, given) for files in (reference, prediction))
    rows = score_folders({"": found}, references_of(true, config.spacing), scorer)[""]
    table = pd.DataFrame(rows, columns=list(CASE_COLUMNS))
    console = Console()
    show_cases(table, f"{config.prediction}: mean over {len(reference)} cases", console)
    if config.output is not None:
        write_atomically(Path(config.output), table.to_csv(index=False))
        console.print(f"scores  {config.output}", soft_wrap=True, highlight=False)


def references_of(folder: MaskFolder, spacing: Sequence[float] | None) -> Iterator[Reference]:
    """The masks of a folder as references.

    Args:
        folder: of masks.
        spacing: of all, None: as volumes say.

    Raises:
        UserError: where one cannot be read, or the spacing is none.
    """
    for case in folder.files:
        mask = folder[case]
        sizes = _spacing(spacing, mask.label.ndim, mask.decoded)
        yield Reference(case, mask.label, mask.instances, sizes, case, mask)


def standard_metrics() -> DictConfig:
    """The metrics where none are chosen."""
    return DictConfig(compose(config_name="evaluate", overrides=["metrics=standard"]).metrics)


def _spacing(given: Sequence[float] | None, dims: int, mask: Decoded) -> tuple[float, ...]:
    """The spacing that is given; else that of a volume's file, and 1 of images, which mostly say how to print them."""
    if given:
        return parse_spacing(given, dims, "spacing")
    return (1.0,) * dims if mask.affine is None or mask.spacing is None else mask.spacing


def _is_table(text: str) -> bool:
    return text.startswith(",".join(CASE_COLUMNS))
