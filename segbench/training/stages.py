"""The predictions of a cascade's stages: computed once, kept in the cache, and given to cases as extra arrays."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from segbench.data.arrays import ArraySpec
from segbench.data.cached_files import DamagedError, is_whole_array, open_array
from segbench.data.preparation import SeenImage
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.runs.stage_ids import Takes
from segbench.runs.stages import Stage, StageRun, prediction_key
from segbench.system.atomic import write_atomically
from segbench.system.lock import FileLock
from segbench.training import assembly
from segbench.training.predictor import FinishedRun, Load

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageArrays:
    """The predictions of stages as extra arrays (`segbench.data.arrays.ArrayProvider`).

    Attributes:
        arrays: their forms by name.
        files: by case and name.
    """

    arrays: Mapping[str, ArraySpec]
    files: Mapping[tuple[str, str], Path]

    def __call__(self, case_id: str, name: str) -> np.ndarray:
        """Return a memory map of a prediction.

        Raises:
            UserError: where the case has none, or its file is damaged.
        """
        path = self.files.get((case_id, name))
        if path is None:
            raise UserError(f"stages.{name}: the case {case_id} is in no part of the split, and was not predicted")
        try:
            return open_array(path)
        except DamagedError as error:  # since the run began
            raise UserError(f"the cached file {path} is damaged ({error}): start the command again") from error


@dataclass(frozen=True)
class StagePredictions:
    """A function that gives the cases of a store the predictions of stages.

    Of the cases that a set of runs predicts each has a file in `cache/stages/RUN/TAKES`, RUN being the id of the run
    with a hash of its weights, or a hash of several. Whoever comes first predicts, other processes wait for it, and
    later runs, of this cascade or another, find the files. A process that is killed leaves those that it has written.

    Attributes:
        stages: of the cascade.
        cache: `data.cache`.
        load: loads one of their runs.
        check: called before each case: may raise to stop.
    """

    stages: Sequence[Stage]
    cache: str
    load: Load
    check: Callable[[], None] = lambda: None

    def __call__(self, dataset: str, store: CaseStore, cases: Sequence[str]) -> CaseStore:
        """The same store, whose given cases have the predictions of each stage as an array by its name.

        Args:
            dataset: name of the data set.
            store: its cases.
            cases: ids of those that are predicted.

        Raises:
            UserError: where all runs of a stage know a case.
        """
        if not self.stages:
            return store
        metas = [store.meta(case) for case in cases]
        chosen = {stage.name: stage.predictors_of(dataset, metas) for stage in self.stages}  # refused before any work
        files: dict[tuple[str, str], Path] = {}
        for stage in self.stages:
            by_runs: dict[tuple[StageRun, ...], list[str]] = {}
            for case, runs in chosen[stage.name].items():
                by_runs.setdefault(runs, []).append(case)
            for runs, predicted in by_runs.items():
                found = self._files(stage, runs, dataset, store, predicted)
                files |= {(case, stage.name): path for case, path in found.items()}
        return store.with_arrays(StageArrays({stage.name: stage.spec for stage in self.stages}, files))

    def _files(
        self, stage: Stage, runs: Sequence[StageRun], dataset: str, store: CaseStore, cases: Sequence[str]
    ) -> dict[str, Path]:
        """The files of cases that the same runs predict, made where they are not there."""
        folder = Path(self.cache).expanduser().absolute() / "stages" / prediction_key(runs) / stage.takes
        files = {case: folder / f"{store.meta(case).digest}.npy" for case in cases}
        if all(is_whole_array(path) for path in files.values()):
            return files
        with _locked(folder):
            missing = [case for case, path in files.items() if not is_whole_array(path)]
            if missing:
                names = ", ".join(str(run.path) for run in runs)
                log.info("stages.%s: %d of %d cases are predicted by %s", stage.name, len(missing), len(cases), names)
                for case, array in self._predictions(stage.name, stage.takes, runs, dataset, store, missing):
                    content = BytesIO()
                    np.save(content, array)
                    write_atomically(files[case], content.getvalue())
                gc.collect()  # networks and trainers refer to each other
        return files

    def _predictions(
        self,
        name: str,
        takes: Takes,
        runs: Sequence[StageRun],
        dataset: str,
        store: CaseStore,
        cases: Sequence[str],
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Predict cases by the mean of runs."""
        networks = [self.load(run.path) for run in runs]
        inputs = [self._inputs(name, network, dataset, store, cases) for network in networks]
        console = Console(stderr=True)
        for case in track(
            cases, f"predicting {name}", console=console, transient=True, disable=not console.is_terminal
        ):
            self.check()
            seen = [of_network(case) for of_network in inputs]
            outputs = [network.outputs(each) for network, each in zip(networks, seen, strict=True)]
            yield case, networks[0].taken(outputs, seen[0], takes)

    def _inputs(
        self, name: str, network: FinishedRun, dataset: str, store: CaseStore, cases: Sequence[str]
    ) -> Callable[[str], SeenImage]:
        """The function that gives what a network of a stage sees of a case, for which its own stages come first.

        Raises:
            UserError: where the network does not fit the cases.
        """
        own = StagePredictions(network.stages, self.cache, network.load, self.check)
        extended = own(dataset, store, cases)
        network_input = assembly.network_input(network.config, extended)
        channels, expected = store.meta(cases[0]).shape[0], network.image_channels
        if channels != expected:
            raise UserError(
                f"stages.{name}: {dataset} has {channels} channels; {network.directory.path} was trained on {expected}"
            )

        def seen(case_id: str) -> SeenImage:
            case = extended[case_id]
            return network.view(network_input, np.asarray(case.image), case.spacing, case.arrays)

        return seen


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes waiting.

    Raises:
        UserError: where the folder cannot be written.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(math.inf)
    except OSError as error:
        raise UserError(
            f"the cache {folder} cannot be written ({error.strerror or error}): set data.cache (or SEGBENCH_CACHE) to a"
            " folder that can"
        ) from error
    try:
        yield
    finally:
        lock.release()
