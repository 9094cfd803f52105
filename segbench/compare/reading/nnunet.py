"""Results of nnU-Net v2: its trained models, their folds, and the summary.json of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.compare.reading.elsewhere import Elsewhere
from segbench.compare.reading.places import Place
from segbench.errors import UserError, as_line

SUMMARY = "summary.json"
NAMES: Mapping[str, str] = {"Dice": "dice", "IoU": "iou"}
"""Metrics of nnU-Net that are ours, by another name: both leave a class out that is in neither mask."""
COUNTS = ("FP", "TP", "FN", "TN", "n_pred", "n_ref")
_ALL = "all"


@dataclass(frozen=True)
class Model:
    """A trained configuration: RESULTS/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION.

    Attributes:
        name: the folder's.
        dataset: DatasetXXX_NAME; None where it is not in such a folder.
        folds: the folder `validation` of each fold, by its number.
        labels: pixel value (or values) of each class by name, empty where there is no dataset.json.
    """

    name: str
    dataset: str | None
    folds: Mapping[int, Path]
    labels: Mapping[str, Any]


def find_models(place: Place) -> list[Model]:
    """The models at or below a folder.

    Raises:
        UserError: where there is none.
    """
    root = place.folder
    if not root.is_dir():
        raise UserError(f"runs={place.text}: there is no such folder")
    found: dict[Path, dict[int, Path]] = {}
    for fold in sorted([root, *root.rglob("fold_*")]):
        number = fold.name.removeprefix("fold_")
        if number.isdecimal() and (fold / "validation").is_dir():
            found.setdefault(fold.parent, {})[int(number)] = fold / "validation"
    if not found:
        raise UserError(f"runs={place.text}: no fold_0/validation in there, as nnU-Net v2 leaves it")
    models = []
    for folder, folds in found.items():
        dataset = folder.parent.name if folder.parent.name.startswith("Dataset") else None
        name = folder.name if place.name is None else place.name if len(found) == 1 else f"{place.name} {folder.name}"
        models.append(Model(name, dataset, folds, _labels(folder)))
    return models


def read_models(place: Place) -> Elsewhere:
    """The scores that nnU-Net wrote for the validation cases of each fold.

    Raises:
        UserError: where a fold has none, or they cannot be read.
    """
    parts, paths = [], []
    for model in find_models(place):
        for number, folder in model.folds.items():
            path = folder / SUMMARY
            paths.append(path)
            frame = summary_frame(path, model.labels).assign(method=model.name, fold=number)
            parts.append(frame if model.dataset is None else frame.assign(dataset=model.dataset))
    note = f"{place.text}: scores as nnU-Net wrote them, of the validation cases of its folds"
    return Elsewhere(pd.concat(parts, ignore_index=True), place.text, _directions(), (note,), tuple(paths))


def read_summary(place: Place) -> Elsewhere:
    """The scores of one summary.json, of a method by the name of its folder.

    Raises:
        UserError: where it cannot be read.
    """
    path = place.folder
    folder = path.absolute().parent
    of_fold = folder.name == "validation" and folder.parent.name.startswith("fold_")
    model = folder.parent.parent if of_fold else folder
    frame = summary_frame(path, _labels(model)).assign(method=place.name or model.name)
    note = f"{place.text}: scores as nnU-Net wrote them"
    return Elsewhere(frame, place.text, _directions(), (note,), (path,))


def summary_frame(path: Path, labels: Mapping[str, Any]) -> pd.DataFrame:
    """The scores of a summary.json: case, class, metric, value, n_ref, n_pred.

    Cases have the names of the files without their endings.

    Args:
        path: the file.
        labels: of a dataset.json.

    Raises:
        UserError: where it cannot be read, or is no summary of nnU-Net v2.
    """
    try:
        cases: Sequence[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["metric_per_case"]
        lines = [
            (stem(case["prediction_file"]), _class(key, labels), NAMES.get(metric, metric), value,
             scores.get("n_ref"), scores.get("n_pred"))
            for case in cases
            for key, scores in case["metrics"].items()
            for metric, value in scores.items()
            if metric not in COUNTS
        ]  # fmt: skip
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: is no summary of nnU-Net v2 ({as_line(error)})") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({as_line(error)})") from error
    frame = pd.DataFrame(lines, columns=["case", "class", "metric", "value", "n_ref", "n_pred"])
    if frame.empty:
        raise UserError(f"{path}: has no scores")
    try:
        return frame.astype(dict.fromkeys(("value", "n_ref", "n_pred"), float))
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: has a score that is no number ({as_line(error)})") from error


def stem(file: str) -> str:
    """The name of a file without folders, of any system, and without its ending: case_1 of C:/x/case_1.nii.gz."""
    name = re.split(r"[\\/]", file)[-1].removesuffix(".gz")
    return name.rpartition(".")[0] or name


def class_names(model: Model) -> list[str] | None:
    """The names of the classes by their pixel values; None where they are not known, or regions are trained."""
    values = {name: value for name, value in model.labels.items() if name != "ignore"}
    if sorted(value for value in values.values() if isinstance(value, int)) != list(range(len(values) or 1)):
        return None
    return sorted(values, key=lambda name: int(values[name]))


def _labels(folder: Path) -> Mapping[str, Any]:
    """The labels of a model's dataset.json, empty where there is none."""
    try:
        labels = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["labels"]
        return {str(name): value if isinstance(value, list) else int(value) for name, value in labels.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _class(key: str, labels: Mapping[str, Any]) -> str:
    """The class of a key such as "1" or, of a region, "(1, 2)"."""
    values = [int(number) for number in re.findall(r"\d+", key)]
    for name, value in labels.items():
        if values == (value if isinstance(value, list) else [value]):
            return name
    return f"class_{key}" if key.isdecimal() else key


def _directions() -> dict[str, str]:
    return dict.fromkeys(NAMES.values(), "larger")
