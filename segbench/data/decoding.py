"""Decoding: from the files of a data set to the arrays of a store, each case once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from segbench.data.cached_files import INDEX, array_path, read_index, save_array, write_index
from segbench.data.case import IGNORE, Case, Dataset, Record, check_case
from segbench.data.case_meta import CaseMeta, measure_intensities, nonzero_box
from segbench.data.class_places import count_values, some_places
from segbench.data.labels.connected_regions import connected_regions
from segbench.data.labels.errors import together
from segbench.errors import UserError
from segbench.system.atomic import replaced

LOCATIONS = 10_000
"""Pixels per class and case that are remembered for foreground-aware sampling."""

_FORMAT = 2
"""Version of what is written here: another one does not read the files of this one."""

_VOLUMES = 1
"""Version of how volumes are written."""

_THREADS = {2: 8, 3: 3}
"""Cases that are decoded at a time at most, by spatial dimensions: each volume of them is in memory."""

log = logging.getLogger(__name__)


def decoding_key(dataset: Dataset, records: Sequence[Record]) -> str:
    """Hash of everything that decides the decoded arrays, without decoding them."""
    kind = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
    files = {path: _size_and_time(path) for path in {path for record in records for path in record.files}}
    cases = [
        [record.id, record.group, record.part]
        # Whole paths: copies that were unpacked with equal times can differ in content.
        + [[os.path.abspath(path), *files[path]] for path in record.files]
        for record in records
    ]
    deciding: list[object] = [_FORMAT, kind, list(dataset.classes), dataset.settings(), cases]
    if dataset.spatial_dims == 3:
        deciding.append(_VOLUMES)
    if dataset.has_instances:
        deciding.append(dataset.object_classes)
    if dataset.arrays:
        deciding.append({name: asdict(spec) for name, spec in dataset.arrays.items()})
    return _hash(deciding)


def _size_and_time(path: Path) -> tuple[int, int]:
    """The size of a file and the time of its last change; of a folder, a DICOM series, those of all its files."""
    stats = [os.stat(file) for file in (path.iterdir() if path.is_dir() else [path])]
    return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)


def decode_all(dataset: Dataset, records: Sequence[Record], folder: Path) -> None:
    """Decode every case into a temporary folder and rename it."""
    if read_index(folder) is not None:  # another process has made it while this one waited
        return
    if (folder / INDEX).exists():
        log.warning("%s is damaged: its cases are decoded anew", folder / INDEX)
        (folder / INDEX).unlink()
    names = [record.id for record in records]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{dataset.name} has two cases with the id {twice}: rename one of their files")
    log.info("decoding %d cases of %s into %s", len(records), dataset.name, folder)
    with replaced(folder, mark=INDEX, alone=True) as temporary:
        if (folder / INDEX).exists():  # another node's: a network file system shows it after a change to the folder
            return
        pool = ThreadPoolExecutor(min(_THREADS[dataset.spatial_dims], os.cpu_count() or 1))
        try:
            done = pool.map(lambda record: _decoded(dataset, record, temporary / record.id), records)
            console = Console(stderr=True)
            results = list(
                track(
                    done,
                    f"decoding {dataset.name}",
                    len(records),
                    console=console,
                    transient=True,
                    disable=not console.is_terminal,
                )
            )
            if wrong := [result for result in results if isinstance(result, UserError)]:
                raise together(wrong)
            cases = [result for result in results if isinstance(result, CaseMeta)]
            fingerprint = _hash([list(dataset.classes), [[case.id, case.digest] for case in cases]])
            write_index(temporary, dataset.name, fingerprint, cases)
        finally:
            pool.shutdown(cancel_futures=True)


def _decoded(dataset: Dataset, record: Record, folder: Path) -> CaseMeta | UserError:
    """A case, or what is wrong with it: all that is wrong with a data set is said at once."""
    try:
        return decode(dataset, record, folder)
    except UserError as error:
        return error


def decode(dataset: Dataset, record: Record, folder: Path) -> CaseMeta:
    """Decode, check, measure and write one case."""
    case = dataset.load(record)
    check_case(case, record, dataset)
    if case.label is None:
        raise UserError(f"{record.where} has no mask: every case of a data set needs one")
    counts = count_values(case.label)
    pixels = tuple(int(count) for count in counts[: len(dataset.classes)])
    places = some_places(case.label, counts[: len(dataset.classes)], LOCATIONS)
    folder.mkdir()
    volume = dataset.spatial_dims == 3
    save_array(array_path(folder / "image", volume), case.image)
    save_array(array_path(folder / "label", volume), case.label)
    save_array(folder / "locations.npy", np.concatenate([np.empty(0, np.int64), *places]))
    if volume:
        save_array(folder / "foreground.npy", _foreground_sample(case, counts, places, dataset.background))
    instances = case.instances
    if instances is None and dataset.has_instances:
        instances = connected_regions(case.label, dataset.object_classes)
    if instances is not None:
        save_array(array_path(folder / "instances", volume), instances)
    for name, array in case.arrays.items():
        save_array(array_path(folder / array_name(name), volume), array)
    return CaseMeta(
        id=record.id,
        group=record.group,
        part=record.part,
        spacing=case.spacing,
        shape=case.image.shape,
        dtype=str(case.image.dtype),
        intensities=measure_intensities(case.image),
        pixels=pixels,
        ignored=int(counts[IGNORE]),
        objects=None if instances is None else int(np.count_nonzero(np.unique(instances))),
        image_digest=image_digest(case.image),
        # Of what was given: connected regions follow from the label.
        digest=_digest(case.image, case.label, case.instances, np.asarray(case.spacing), **case.arrays),
        nonzero=nonzero_box(case.image) if volume else None,
        directions=case.directions,
    )


def _foreground_sample(
    case: Case, counts: np.ndarray, places: Sequence[np.ndarray], background: int | None
) -> np.ndarray:
    """Raw intensities (C, N) of up to 10,000 pixels of the foreground, each class with its share of them.

    Args:
        case: the case.
        counts: pixels of each value of its label.
        places: some of the pixels of each class that occurs.
        background: the class that is no foreground, or None.
    """
    present = [value for value in range(IGNORE) if counts[value]]
    foreground = [(value, of) for value, of in zip(present, places, strict=False) if value != background]
    total = sum(int(counts[value]) for value, _ in foreground)
    share = min(1.0, LOCATIONS / max(total, 1))
    chosen = [
        of[np.linspace(0, len(of) - 1, max(1, round(share * counts[value]))).astype(int)] for value, of in foreground
    ]
    flat = np.concatenate([np.empty(0, np.int64), *chosen])
    return np.stack([channel.reshape(-1)[flat] for channel in case.image])


def array_name(name: str) -> str:
    """The name of the file of an extra array of a case, which no other file of it can have."""
    return f"array.{name}"


def image_digest(image: np.ndarray) -> str:
    """Hash of the pixels of an image (C, *S) as decoded: `CaseMeta.image_digest`."""
    return _digest(image)


def _digest(*arrays: np.ndarray | None, **named: np.ndarray) -> str:
    """Hash of the arrays' types, shapes and values, and the names of those that have one."""
    content = hashlib.sha256()
    for name, array in [*(("", array) for array in arrays), *sorted(named.items())]:
        if array is not None:
            content.update(f"{name}{array.dtype.name} {array.shape}".encode())
            content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()[:16]


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
