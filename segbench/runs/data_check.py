"""The check that the data of a run is what it was when the run began."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from segbench.data.case import Record
from segbench.data.configured import dataset_of, open_dataset
from segbench.data.decoding import decoding_key
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory

log = logging.getLogger(__name__)

DIGESTS = "digests"
"""The key of `split.json` that holds a hash of each case: of its image, label, instances and spacing."""

_NAMED = 3
"""Cases of a kind that a message names."""


def facts(store: CaseStore) -> dict[str, str]:
    """The entries of run.json's `dataset` by which a later command finds out whether the data is the same."""
    return {"fingerprint": store.fingerprint, "decoding": store.key}


def digests(store: CaseStore) -> dict[str, str]:
    """The hash of each case, for `split.json`."""
    return {case: store.meta(case).digest for case in store.ids}


def check_same(directory: RunDirectory, store: CaseStore) -> None:
    """Check that a run that is begun or done has the images and masks of a store.

    Raises:
        UserError: naming the cases that are others now.
    """
    recorded = _recorded(directory)
    if recorded.get("fingerprint", store.fingerprint) != store.fingerprint:
        raise _other_data(directory, _difference(directory, store))


def check_still_same(directories: Iterable[RunDirectory], data: DictConfig) -> None:
    """Check that runs that are begun or done have the images and masks that a configuration names.

    Where path, size and time of every file are as they were, nothing is decoded nor read. Where the files are gone,
    that the runs could not be checked is logged.

    Args:
        directories: of runs.
        data: the node `data` of their configuration.

    Raises:
        UserError: naming a run, and the cases that are others now.
    """
    left = [directory for directory in directories if "fingerprint" in _recorded(directory)]
    if not left:
        return
    dataset = dataset_of(data)
    root = data.dataset.get("root", data.root)
    if root is not None and not _is_there(Path(root)):
        log.warning(
            "data.root=%s is not there: whether %s was made on it cannot be checked",
            root, left[0].path if len(left) == 1 else f"each of {len(left)} runs",
        )  # fmt: skip
        return
    try:
        key = decoding_key(dataset, dataset.records())
        left = [directory for directory in left if _recorded(directory).get("decoding") != key]
        if not left:
            return
        _, store = open_dataset(data)
    except UserError as error:
        raise _other_data(left[0], str(error)) from error
    for directory in left:
        check_same(directory, store)


def check_place(path: Path, records: Iterable[Record], root: str | None) -> None:
    """Check that no run is written among its own images: its pictures would be taken for images next time.

    Args:
        path: the run directory.
        records: of its data.
        root: the folder that its data has to itself, or shares with runs.

    Raises:
        UserError: where it is in a folder of images below the root.
    """
    above = Path(root).expanduser().resolve() if root is not None else None
    for folder in {file.parent.resolve() for record in records for file in record.files}:
        shared = above is not None and above.is_relative_to(folder)
        if path.resolve().is_relative_to(folder) and not shared:
            raise UserError(
                f"hydra.run.dir={path}: lies in {folder}, among the images of the run; choose another folder"
            )


def _recorded(directory: RunDirectory) -> Mapping[str, Any]:
    return directory.record.get("dataset") or {}


def _is_there(root: Path) -> bool:
    """Return whether a path is a file, or a folder that is not empty, as a mount point without its disk is."""
    root = root.expanduser()
    return root.is_file() or (root.is_dir() and any(root.iterdir()))


def _difference(directory: RunDirectory, store: CaseStore) -> str:
    """The cases that are others than those of a run, in words."""
    try:
        before = dict(json.loads((directory.path / "split.json").read_text())[DIGESTS])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # a run of an earlier version
    present = digests(store)
    kinds = {
        "changed": [case for case in present if case in before and before[case] != present[case]],
        "added": [case for case in present if case not in before],
        "removed": [case for case in before if case not in present],
    }
    if not any(kinds.values()):
        return "the order or the names of the classes changed"
    return ", ".join(f"{len(cases)} {kind} ({_names(cases)})" for kind, cases in kinds.items() if cases)


def _names(cases: Sequence[str]) -> str:
    return ", ".join(cases[:_NAMED]) + (", .." if len(cases) > _NAMED else "")


def _other_data(directory: RunDirectory, difference: str) -> UserError:
    return UserError(
        f"{directory.path} was made on other images or masks than data.root holds now"
        f"{f': {difference}' if difference else ''}; choose another hydra.run.dir (of a sweep: hydra.sweep.dir), or"
        " delete it to make it anew"
    )
