"""The decoded cases of a data set: cached once, shared by workers, processes and later runs."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.arrays import ArrayProvider, LazyArrays, check_names
from segbench.data.cached_files import INDEX, DamagedError, array_path, is_whole_array, open_array, read_index
from segbench.data.case import Dataset
from segbench.data.case_meta import CaseMeta
from segbench.data.decoding import LOCATIONS, array_name, decode, decode_all, decoding_key
from segbench.errors import UserError
from segbench.system.atomic import replaced
from segbench.system.lock import FileLock

_OPEN_CASES = 64
"""Cases whose files stay open: opening them takes as long as drawing a small patch. Up to 4 files each."""

_OPEN_VALUES = 2**20
"""Larger images do not stay open: reading them takes longer than opening, and what is mapped counts as memory."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredCase:
    """A cached case. Its arrays are memory maps, opened when first used and read-only.

    Attributes:
        meta: what is known of the case without its arrays.
        read: opens one of its files by name.
        arrays: the extra arrays by name: its own, and those that providers give to the store. Each is opened when
            it is first asked for.
    """

    meta: CaseMeta
    read: Callable[[str], np.ndarray]
    arrays: Mapping[str, np.ndarray]

    @property
    def id(self) -> str:
        """The case's id."""
        return self.meta.id

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a pixel along each axis."""
        return self.meta.spacing

    @cached_property
    def image(self) -> np.ndarray:
        """(C, *S) as decoded."""
        return self.read("image")

    @cached_property
    def label(self) -> np.ndarray:
        """(*S) uint8, class index per pixel, 255 = ignore."""
        return self.read("label")

    @cached_property
    def instances(self) -> np.ndarray | None:
        """(*S) int32, 0 = background, or None."""
        return None if self.meta.objects is None else self.read("instances")

    @cached_property
    def locations(self) -> Mapping[int, np.ndarray]:
        """The flat indices of up to 10,000 pixels of each class present, background too."""
        every = self.read("locations")
        counts = {index: min(self.meta.pixels[index], LOCATIONS) for index in sorted(self.meta.present)}
        ends = np.cumsum([0, *counts.values()])
        return {index: every[start:end] for index, start, end in zip(counts, ends[:-1], ends[1:], strict=True)}

    @cached_property
    def foreground(self) -> np.ndarray:
        """Raw intensities (C, N) of some pixels of the foreground of a volume, N up to 10,000."""
        return self.read("foreground")


class CaseStore:
    """All cases of a data set, decoded.

    The first use decodes every case into `folder/NAME/KEY`, KEY being a hash of all that decides the
    result: the data set's settings, and the path, size and time of its files. Later uses, also by other
    processes, only open the files. Processes that start together wait for the first one's work. An
    interrupted first use leaves nothing that a later one would take for complete. What is damaged later, is decoded
    anew: a case when one of its files cannot be opened, all where the index cannot be read.

    Args:
        dataset: the data set.
        folder: the cache, such as "~/.cache/segbench".

    Raises:
        UserError: where a case cannot be decoded or the cache cannot be written.
    """

    def __init__(self, dataset: Dataset, folder: str | Path) -> None:
        self.records = records = dataset.records()
        """The records in the data set's order; listing them takes a while where it has to look into its files."""
        self.key = decoding_key(dataset, records)
        """Hash of all that decides what is decoded; it also changes with the place and the time of a file."""
        self.folder = Path(folder).expanduser().absolute() / dataset.name / self.key
        index = read_index(self.folder)
        if index is None:
            self._alone(lambda: decode_all(dataset, records, self.folder))
            index = read_index(self.folder)
            assert index is not None
        self.fingerprint, self._meta = index
        """Hash of the decoded cases: the same wherever and whenever they are decoded."""
        self._dataset = dataset
        self.arrays = dict(dataset.arrays)
        """The forms of the cases' extra arrays by name."""
        self.own_arrays = frozenset(dataset.arrays)
        """Names of those that were decoded with the cases."""
        self._providers: dict[str, ArrayProvider] = {}
        self._open: dict[str, StoredCase] = {}  # the last ones used, the longest unused first

    @property
    def complete(self) -> bool:
        """True if the cache is still there."""
        return (self.folder / INDEX).exists()

    @property
    def ids(self) -> list[str]:
        """The cases, in the data set's order."""
        return list(self._meta)

    def meta(self, case_id: str) -> CaseMeta:
        """The facts about a case that are known without opening its arrays."""
        return self._meta[case_id]

    def __getitem__(self, case_id: str) -> StoredCase:
        """The case. It holds open files: keep it only as long as it is needed.

        The store itself keeps some small cases open, each process its own or, with forked workers, also
        the files that were open before: they are only read.
        """
        case = self._open.pop(case_id, None)
        if case is None:
            arrays = LazyArrays(self.arrays, partial(self._array, case_id))
            case = StoredCase(self._meta[case_id], partial(self._file, case_id), arrays)
            if math.prod(case.meta.shape) > _OPEN_VALUES:
                return case
        self._open[case_id] = case
        while len(self._open) > _OPEN_CASES:
            self._open.pop(next(iter(self._open)), None)
        return case

    def with_arrays(self, provider: ArrayProvider) -> CaseStore:
        """The same cases with further arrays, which are asked for case by case; this store stays as it is.

        The fingerprint is that of the decoded cases still.

        Raises:
            UserError: where two arrays would have the same name.
        """
        check_names(provider.arrays, "further arrays")
        for name in provider.arrays:
            if name in self.arrays:
                raise UserError(f"the cases have an array {name!r} already: give the other one another name")
        store = copy.copy(self)
        store.arrays = {**self.arrays, **provider.arrays}
        store._providers = {**self._providers, **dict.fromkeys(provider.arrays, provider)}
        store._open = {}
        return store

    def _array(self, case_id: str, name: str) -> np.ndarray:
        """An extra array of a case.

        Raises:
            UserError: where a provider gives one of another form than it declares.
        """
        if name not in self._providers:
            return self._file(case_id, array_name(name))
        array = self._providers[name](case_id, name)
        fault = self.arrays[name].fault(array, self._meta[case_id].shape[1:])
        if fault is not None:
            raise UserError(f"case {case_id}: its array {name!r} {fault}")
        return array

    def _file(self, case_id: str, name: str) -> np.ndarray:
        """A memory map of a file of a case, which is decoded anew where it is damaged.

        Raises:
            UserError: where that cannot be done.
        """
        meta = self._meta[case_id]
        volume = len(meta.shape) == 4 and name not in ("locations", "foreground")
        path = array_path(self.folder / case_id / name, volume)
        shape = {"image": meta.shape, "label": meta.shape[1:], "instances": meta.shape[1:]}.get(name)
        try:
            return open_array(path, shape)
        except DamagedError as error:
            log.warning("%s is damaged or gone (%s): the case is decoded anew", path, error)
        self._alone(partial(self._decode_again, case_id, path, shape))
        return open_array(path, shape)

    def _decode_again(self, case_id: str, damaged: Path, shape: Sequence[int] | None) -> None:
        if is_whole_array(damaged, shape):  # another process was quicker
            return
        record = next(record for record in self.records if record.id == case_id)
        with replaced(self.folder / case_id, alone=True) as temporary:
            temporary.rmdir()
            meta = decode(self._dataset, record, temporary)
            if meta.digest != self._meta[case_id].digest:
                raise UserError(
                    f"the cached case {self.folder / case_id} is damaged, and {record.where} is not what it was:"
                    " start the command again"
                )

    def close(self) -> None:
        """Forget the cases that are kept open."""
        self._open.clear()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def __len__(self) -> int:
        return len(self._meta)

    def _alone(self, write: Callable[[], object]) -> None:
        """Write into the cache while no other process does.

        Raises:
            UserError: where that is not possible.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder.with_suffix(".lock"))
            lock.acquire(math.inf)
            try:
                write()
            finally:
                lock.release()
        except OSError as error:
            raise UserError(
                f"the cache {self.folder.parent} cannot be written ({error.strerror or error}): "
                "set data.cache (or SEGBENCH_CACHE) to a folder that can"
            ) from error
