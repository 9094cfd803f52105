"""Masks made by any other tool, scored against reference masks of the same names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from segbench.commands.outputs import check_file
from segbench.commands.run_scores import show_cases
from segbench.config.schema import require
from segbench.data.case import check_classes, shape_text
from segbench.data.folders.files import check_pairs
from segbench.data.folders.spacing import parse_spacing
from segbench.data.formats import as_instances, as_mask, decode, image_files
from segbench.data.formats.reader import LOSSY, Decoded
from segbench.data.formats.space import check_same_space
from segbench.data.labels.grey_values import GREY_VALUES, main_values, ranges_around
from segbench.data.labels.palettes import Palettes
from segbench.data.labels.pixel_values import LabelMapping
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
    if config.output is not None:
        check_file(Path(config.output), "output", _is_table, "table of scores")
    prediction = image_files(Path(require(config, "prediction")), "prediction")
    reference = image_files(Path(require(config, "reference")), "reference")
    check_pairs(prediction, reference, "reference mask")
    mapping, classes = _mapping(config, reference, prediction)
    check_classes(classes, "classes")
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
    given = config["values"] is not None or config.classes is not None
    true, found = (_Masks(files, None if objects else mapping, given) for files in (reference, prediction))
    for key in reference:
        label, instances = true[key]
        mask = true.last
        spacing = _spacing(config.spacing, label.ndim, mask)
        case = {"label": label, "instances": instances, "spacing": spacing, "case_id": key, "group": key}
        predicted, objects_found = found[key]
        if true.last.orientation != found.last.orientation:
            raise UserError(
                f"viewers turn {prediction[key]} (EXIF orientation {found.last.orientation}), but not its reference"
                f" {reference[key]} ({true.last.orientation}) with it: save both in one way"
            )
        if label.shape != predicted.shape:
            sizes = shape_text(predicted.shape), shape_text(label.shape)
            raise UserError(f"{prediction[key]} is {sizes[0]}, its reference {reference[key]} is {sizes[1]}")
        check_same_space(found.last, prediction[key], mask, reference[key], "resample one of them to the other")
        rows += scorer(predicted, objects_found, case)
    table = pd.DataFrame(rows, columns=list(CASE_COLUMNS))
    console = Console()
    show_cases(table, f"{config.prediction}: mean over {len(reference)} cases", console)
    if config.output is not None:
        write_atomically(Path(config.output), table.to_csv(index=False))
        console.print(f"scores  {config.output}", soft_wrap=True, highlight=False)


def _spacing(given: Sequence[float] | None, dims: int, mask: Decoded) -> tuple[float, ...]:
    """The spacing that is given; else that of a volume's file, and 1 of images, which mostly say how to print them."""
    if given:
        return parse_spacing(given, dims, "spacing")
    return (1.0,) * dims if mask.affine is None or mask.spacing is None else mask.spacing


def _is_table(text: str) -> bool:
    return text.startswith(",".join(CASE_COLUMNS))


class _Masks:
    """The masks of one folder.

    Args:
        files: by key.
        mapping: of pixel values to classes; None: every value is an object.
        given: whether the user has said which values are which class.

    Attributes:
        last: the content of the last file that was read.
    """

    def __init__(self, files: Mapping[str, Path], mapping: LabelMapping | None, given: bool) -> None:
        self.files = files
        self.mapping = mapping
        self.palettes = Palettes("values", given)
        self.last: Decoded

    def __getitem__(self, key: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Label (*S) uint8, and instances (*S) int32 where values are objects."""
        path = self.files[key]
        mask = decode(path)
        self.last = mask
        if self.mapping is None:
            instances = as_instances(mask, path)
            return (instances > 0).astype(np.uint8), instances
        if not self.mapping.colours:
            self.palettes.check(mask, path)
        return self.mapping.apply(as_mask(mask, path, self.mapping.colours), path, mask.lossy), None


def _mapping(
    config: DictConfig, reference: Mapping[str, Path], prediction: Mapping[str, Path]
) -> tuple[LabelMapping, Sequence[str]]:
    """Pixel values and names of the classes: as configured, else every value of the references.

    Where these are empty, what is predicted is a class that none of them has; there always is one.
    """
    if config.masks_are == "instances":
        return _consecutive(2), ("background", "object")
    values = config["values"]  # `config.values` is a method
    if values is not None:
        names = config.classes or [f"class_{index}" for index in range(len(values))]
        return LabelMapping.parse(OmegaConf.to_object(values), (), len(names), "values"), list(names)  # type: ignore[arg-type]
    if config.classes is not None:
        return _consecutive(len(config.classes)), list(config.classes)
    pixels: Counter[int] = Counter()
    for path in reference.values():
        pixels.update(_values(path))
    _check_no_grey_values(pixels, config.reference)
    found = sorted(pixels)
    if found == [0]:
        found = sorted({0}.union(*map(_values, prediction.values())))
        found = found if len(found) > 1 else [0, 1]
    hint = "no reference has it: say which values are which class, such as 'values=[0,[1,255]]'"
    mapping = LabelMapping(tuple((value,) for value in found), hint=hint)
    return mapping, [f"class_{value}" for value in found]


def _values(path: Path) -> dict[int, int]:
    """The values of a mask, and how many pixels have each; where the format may have changed them, two are believed."""
    mask = decode(path)
    values, counts = np.unique(as_mask(mask, path), return_counts=True)
    if mask.lossy and len(values) > 2:
        raise UserError(f"{path} has {len(values)} values: {LOSSY}{_ranges([0, 255] if values[-1] > 127 else None)}")
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _check_no_grey_values(pixels: Mapping[int, int], folder: str) -> None:
    """Check that the values of masks are classes, and no smoothed edges.

    Raises:
        UserError: where they are not.
    """
    main = main_values(pixels, 2)
    if main is not None:
        share = 100 * (1 - sum(pixels[value] for value in main) / sum(pixels.values()))
        raise UserError(
            f"reference={folder}: {share:.2g} % of the pixels have {len(pixels) - 2} values between {main[0]} and"
            f" {main[1]}; {GREY_VALUES}: save the masks without them{_ranges(main)}; if they are classes, name all:"
            " classes=[..]"
        )


def _ranges(main: Sequence[int] | None) -> str:
    """The way to read masks with grey values all the same, as the end of a message."""
    if main is None:
        return ""
    return f', or say where one class ends: "values={LabelMapping(()).listed(ranges_around(main))}"'


def _consecutive(count: int) -> LabelMapping:
    """Masks whose pixel values are the class indices."""
    return LabelMapping(tuple((index,) for index in range(count)))


def _standard_metrics() -> DictConfig:
    return DictConfig(compose(config_name="evaluate", overrides=["metrics=standard"]).metrics)
