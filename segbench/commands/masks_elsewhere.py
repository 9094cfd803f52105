"""Masks of other tools as methods of a comparison: scored against a folder, or the data set of the runs beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track

from segbench.commands.evaluate_masks import references_of, standard_metrics
from segbench.compare.reading.comparability import listed
from segbench.compare.reading.elsewhere import Elsewhere
from segbench.compare.reading.methods import Trained
from segbench.compare.reading.nnunet import class_names, find_models
from segbench.compare.reading.places import Place, parse_place
from segbench.compare.reading.runs import Run
from segbench.compare.request import Masks
from segbench.config.allowed_targets import check_trust
from segbench.config.history import completed
from segbench.config.plain import as_plain
from segbench.data.case import check_classes
from segbench.data.configured import open_dataset
from segbench.data.formats import image_files
from segbench.data.labels.connected_regions import connected_regions
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError
from segbench.evaluation.mask_folders import MaskFolder, Reference, score_folders, value_mapping
from segbench.evaluation.scoring import CaseScorer, Row
from segbench.metrics.configured import directions, functions
from segbench.runs.directory import CASE_COLUMNS, read_config

_HINT = "it is no class: say which values are which class, such as 'values=[0,[1,255]]'"


@dataclass(frozen=True)
class _Folder:
    """The masks of one method: file by case, the fold of each where it is known, and the names of its classes."""

    name: str
    place: Place
    files: Mapping[str, Path]
    folds: Mapping[str, int] = field(default_factory=dict)
    classes: Sequence[str] | None = None


def score_masks(
    places: Sequence[Place], trained: Trained | None, masks: Masks, metrics: DictConfig | None
) -> list[Elsewhere]:
    """The scores of folders of masks.

    Args:
        places: folders of masks, or results of nnU-Net.
        trained: the runs beside them, which give metrics and names of classes, and references where none are given.
        masks: what values mean, and the references.
        metrics: where there are no runs; None: the standard ones.

    Raises:
        UserError: where a folder has no mask of a test case, or one does not fit its reference.
    """
    folders = [folder for place in places for folder in _folders(place)]
    if trained is not None:
        tables = [_beside(folders, run, trained, masks) for run in _one_of_each(trained.runs)]
    elif masks.reference is not None:
        tables = [_alone(folders, masks, metrics)]
    else:
        raise UserError(f"runs={places[0].text}: what are the true masks? reference=FOLDER")
    found, classes = [], () if trained is not None else tables[0][2]
    for folder in folders:
        parts = [frame for of_set, _, _ in tables if (frame := of_set[folder.name]) is not None]
        if not parts:
            cases = [case for _, known, _ in tables for case in known]
            raise UserError(
                f"{folder.place.text}: no mask is called as a test case: there are {listed(list(folder.files))}; the"
                f" test cases are {listed(cases)}"
            )
        frame = pd.concat(parts, ignore_index=True)
        frame = frame.assign(fold=frame["case"].map(folder.folds).fillna(0).astype(int)) if folder.folds else frame
        better = {} if trained is not None else _ways(metrics)
        found.append(Elsewhere(frame, folder.place.text, better, paths=(folder.place.folder,), classes=classes))
    return found


def has_masks(place: Place) -> bool:
    """Return whether results of nnU-Net have masks in every fold, and not just their scores."""
    return all(_files(fold) for model in find_models(place) for fold in model.folds.values())


_Tables = tuple[dict[str, pd.DataFrame | None], list[str], Sequence[str]]
"""The scores of each folder on one data set, None where it has none of the cases; the cases; and the classes."""


def _beside(folders: Sequence[_Folder], run: Run, trained: Trained, masks: Masks) -> _Tables:
    """The scores by metrics and classes of a run, on the test cases of its data set."""
    plain = completed(read_config(run.path))
    where = f"runs={run.path}"
    check_trust({"metrics": plain.get("metrics"), "data": {"dataset": plain["data"]["dataset"]}}, masks.trust, where)
    config = OmegaConf.create(plain)
    facts = run.record["dataset"]
    frame = trained.frame
    tested = frame[(frame["split"] == "test") & (frame["dataset"] == run.dataset)]
    cases = list(dict.fromkeys(map(str, tested["case"])))
    classes, background = list(map(str, facts["classes"])), facts["background"]
    objects = facts.get("objects")
    counted = [k for k in range(len(classes)) if k != background] if objects is None else list(objects)
    mapping = LabelMapping(tuple((k,) for k in range(len(classes))), hint=_HINT)
    if masks.values is not None:
        mapping = LabelMapping.parse(masks.values, (), len(classes), "values")
    readers = {}
    for folder in folders:
        instances = folder.place.kind == "instances"
        if instances and (len(classes) != 2 or background != 0):
            raise UserError(f"{folder.place.text}: objects have no class, and {run.dataset} has {', '.join(classes)};"
                            " give masks of classes (masks:)")  # fmt: skip
        readers[folder.name] = MaskFolder(folder.files, None if instances else mapping, True, _divider(counted))
    regions = {"regions": as_plain(config.measured.regions), "scored": tuple(config.task.scores)}
    scorer = _scorer(config.metrics, classes, background, run.dataset, **regions)
    if masks.reference is not None:
        references: Iterable[Reference] = _references(masks, mapping, set(cases))
    else:
        references = _of_data_set(config, run, cases)
    return _frames(score_folders(readers, _shown(references, len(cases)), scorer)), cases, classes


def _alone(folders: Sequence[_Folder], masks: Masks, metrics: DictConfig | None) -> _Tables:
    """The scores against a folder of references."""
    place = parse_place(str(masks.reference))
    files = image_files(place.folder, "reference")
    if place.kind == "instances":
        classes: Sequence[str] = ["background", "object"]
        mapping = LabelMapping(((0,), (1,)), hint=_HINT)
        if masks.values is not None:
            mapping = LabelMapping.parse(masks.values, (), 2, "values")
        divide: Callable[[np.ndarray], np.ndarray] | None = _divider([1])
    else:
        known = masks.classes or next((folder.classes for folder in folders if folder.classes), None)
        predicted = [path for folder in folders for path in folder.files.values()]
        mapping, classes = value_mapping(masks.values, known, files, predicted, str(masks.reference))
        divide = None
    check_classes(classes, "classes")
    given = masks.values is not None or masks.classes is not None
    readers = {
        folder.name: MaskFolder(folder.files, None if folder.place.kind == "instances" else mapping, given, divide)
        for folder in folders
    }
    scorer = _scorer(metrics or standard_metrics(), classes, masks.background, place.folder.name)
    true = MaskFolder(files, None if place.kind == "instances" else mapping, given)
    references = references_of(true, masks.spacing)
    return _frames(score_folders(readers, _shown(references, len(files)), scorer)), list(files), classes


def _folders(place: Place) -> Iterator[_Folder]:
    """The folder of masks at a place, or that of each model of nnU-Net."""
    if place.kind != "nnunet":
        yield _Folder(place.name or place.folder.name, place, image_files(place.folder, "runs"))
        return
    for model in find_models(place):
        files: dict[str, Path] = {}
        folds: dict[str, int] = {}
        for fold, folder in model.folds.items():
            of_fold = _files(folder)
            files |= of_fold
            folds |= dict.fromkeys(of_fold, fold)
        yield _Folder(model.name, place, files, folds, class_names(model))


def _files(folder: Path) -> dict[str, Path]:
    try:
        return image_files(folder, "runs")
    except UserError:
        return {}


def _one_of_each(runs: Sequence[Run]) -> list[Run]:
    """The first run on each data set."""
    return list({run.dataset: run for run in reversed(runs)}.values())[::-1]


def _scorer(
    metrics: DictConfig, classes: Sequence[str], background: int | None, dataset: str, **regions: Any
) -> CaseScorer:
    """A scorer of masks; `regions` are the arguments of `CaseScorer` that say which regions are scored."""
    return CaseScorer(
        classes=classes,
        background=background,
        class_metrics=functions(metrics, "classes"),
        object_metrics=functions(metrics, "objects"),
        empty_distance=metrics.empty_distance,
        columns={"dataset": dataset, "split": "test", "fold": 0, "seed": 0},
        **regions,
    )


def _divider(classes: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of a label: its connected regions as objects."""
    return partial(connected_regions, classes=classes)


def _references(masks: Masks, mapping: LabelMapping, cases: set[str]) -> Iterator[Reference]:
    """The references of test cases from a folder."""
    place = parse_place(str(masks.reference))
    files = {case: path for case, path in image_files(place.folder, "reference").items() if case in cases}
    folder = MaskFolder(files, None if place.kind == "instances" else mapping)
    return references_of(folder, masks.spacing)


def _of_data_set(config: DictConfig, run: Run, cases: Sequence[str]) -> Iterator[Reference]:
    """The references of test cases from the data set of a run.

    Raises:
        UserError: where it is not what the run was trained on.
    """
    _, store = open_dataset(config.data)
    if run.fingerprint and store.fingerprint != run.fingerprint:
        raise UserError(f"data.root={config.data.root}: holds other images than {run.path} was trained on")
    for name in cases:
        case = store[name]
        instances = None if case.instances is None else np.asarray(case.instances[:])
        yield Reference(name, np.asarray(case.label[:]), instances, case.spacing, case.meta.group)


def _shown(references: Iterable[Reference], count: int) -> Iterator[Reference]:
    """The references, with a bar for those that are done."""
    console = Console()
    yield from track(
        references, "scoring masks", count, console=console, transient=True, disable=not console.is_terminal
    )


def _frames(rows: Mapping[str, Sequence[Row]]) -> dict[str, pd.DataFrame | None]:
    """The scores of each folder as a table."""
    return {
        name: pd.DataFrame(of_one, columns=list(CASE_COLUMNS)).drop(columns=["fold", "seed"]).assign(method=name)
        if of_one
        else None
        for name, of_one in rows.items()
    }


def _ways(metrics: DictConfig | None) -> dict[str, Any]:
    """The direction of each metric."""
    ways = directions(metrics or standard_metrics())
    return {**ways["classes"], **ways["objects"]}
