"""The images that the weights of a run know: its training and validation cases, and those of the runs before it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from segbench.data.case_meta import CaseMeta
from segbench.data.splits import Split
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.runs.directory import SPLIT, RunDirectory, read_config, read_split

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingImages:
    """Cases that weights were fitted to, or a checkpoint was chosen by.

    Attributes:
        images: hashes of their images (`CaseMeta.image_digest`): the same under another name or id.
        cases: data set's name and case's id from runs of earlier versions, which kept no hashes.
    """

    images: frozenset[str] = frozenset()
    cases: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of_split(cls, store: CaseStore, split: Split) -> Self:
        """The training and validation cases."""
        return cls(frozenset(store.meta(case).image_digest for case in (*split.train, *split.validation)))

    @classmethod
    def of_run(cls, directory: RunDirectory) -> Self:
        """The images that a run on disk knows, together with all runs that its first weights come from.

        Raises:
            UserError: where it has not recorded its cases.
        """
        seen, passed = cls(), set[Path]()
        run: RunDirectory | None = directory
        while run is not None and run.path.resolve() not in passed:
            passed.add(run.path.resolve())
            split = read_split(run.path)
            if "seen" in split:  # with those of the runs before it
                return seen | cls.from_json(split["seen"])
            name = str(run.record["dataset"]["name"])
            seen |= cls(cases=frozenset((name, case) for part in ("train", "validation") for case in split[part]))
            run = _before(run)
        return seen

    @classmethod
    def of_stages(cls, directory: RunDirectory) -> Self:
        """The images that the stages of a run on disk know, by which a cascade as a whole knows them.

        Its own weights do not: see `segbench.runs.stages`.
        """
        return cls.from_json(read_split(directory.path).get("seen_by_stages") or {"images": [], "cases": []})

    @classmethod
    def at_start(
        cls,
        directory: RunDirectory,
        store: CaseStore,
        split: Split,
        source: RunDirectory | None,
        initial_weights: str | None = None,
    ) -> Self:
        """The images that a run that begins or goes on will know when it is done.

        Args:
            directory: of the run.
            store: its images.
            split: its cases.
            source: the run that its first weights come from, or None; also None for a run that goes on, which
                has recorded by then what it took over.
            initial_weights: the path of the source as configured, for a run that goes on and whose record of what it
                took over is damaged.

        Raises:
            UserError: where the source has not recorded its cases, or is needed again and not there.
        """
        before = source
        if directory.states:
            before = directory
            try:
                read_split(directory.path)
            except UserError:
                before = None if initial_weights is None else RunDirectory(Path(initial_weights).expanduser())
                if before is not None and not before.record:
                    raise
                log.warning("%s is damaged or gone: it is written anew", directory.path / SPLIT)
        own = cls.of_split(store, split)
        return own if before is None else own | cls.of_run(before)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read it from the values of `as_json`."""
        return cls(frozenset(value["images"]), frozenset((name, case) for name, case in value["cases"]))

    def as_json(self) -> dict[str, Any]:
        """The images as JSON values."""
        return {"images": sorted(self.images), "cases": [list(case) for case in sorted(self.cases)]}

    def has(self, dataset: str, case: CaseMeta) -> bool:
        """Return whether a case is one of these.

        Args:
            dataset: name of its data set.
            case: what is known of it.
        """
        return case.image_digest in self.images or (dataset, case.id) in self.cases

    def __or__(self, other: Self) -> Self:
        return type(self)(self.images | other.images, self.cases | other.cases)


def _before(run: RunDirectory) -> RunDirectory | None:
    """The run that the first weights of one of an earlier version come from, by its configuration."""
    path = read_config(run.path).get("initial_weights")
    if path is None:
        return None
    before = RunDirectory(Path(path).expanduser())
    if "dataset" in before.record and (before.path / SPLIT).exists():
        return before
    log.warning("%s began with the weights of %s, which is not there: what these know is not checked", run.path, path)
    return None
