"""Stages of a cascade: earlier runs whose predictions are an input, and which of them may predict a case.

No leakage: the input of a case comes from the runs that do not know its image (`TrainingImages.of_run`: neither
trained on it nor chosen a checkpoint by it, nor did the weights that they began with). Of the folds of one split that
is one run, whose test part the case is in; of several seeds, or where the data set itself fixes the test cases, it is
several, and the mean of their logits is taken. A case that all runs know is refused.

This is how nnU-Net's cascade (Isensee et al. 2021) and stacked generalisation (Wolpert 1992) make the inputs of the
second stage: each case looks as a new image would, also in training. So the weights of the cascade know its own
training and validation cases alone, and its own test cases are fair: neither its weights nor the runs that made their
inputs know them. But the cascade as a whole, with the mean of all its runs that a new image is given, knows every image
that one of them knows: `TrainingImages.of_stages`, which an evaluation on unseen data leaves out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.config.history import essential
from segbench.config.identity import NOT_SCIENCE
from segbench.data.arrays import ArraySpec, check_names
from segbench.data.case_meta import CaseMeta
from segbench.errors import UserError
from segbench.runs.directory import RunDirectory, read_config
from segbench.runs.discovery import RECORD, find_runs
from segbench.runs.stage_ids import Takes, named_stages
from segbench.runs.training_images import TrainingImages

_NOT_A_METHOD = (*NOT_SCIENCE, "seed", "fold", "initial_weights")
"""Keys in which the runs of a stage may differ."""

_HEADS = {"probabilities": "mask", "regions": "regions"}
"""The head that a stage must have for what is taken of it."""


@dataclass(frozen=True)
class StageRun:
    """A run of a stage.

    Attributes:
        path: its directory, absolute.
        record: what its run.json says.
    """

    path: Path
    record: Mapping[str, Any] = field(hash=False)

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.record["id"])

    @property
    def checkpoint(self) -> Path:
        """The file of its weights."""
        return RunDirectory(self.path).best_checkpoint

    @cached_property
    def known(self) -> TrainingImages:
        """The images that its weights know."""
        return TrainingImages.of_run(RunDirectory(self.path))

    def digest(self) -> str:
        """Hash of its weights, and of those of its own stages."""
        state = self.checkpoint.stat()
        content = [_file_digest(self.checkpoint, state.st_size, state.st_mtime_ns)]
        content += [run.digest() for stage in recorded_stages(self.path) for run in stage.runs]
        return hashlib.sha256("".join(content).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Stage:
    """Earlier runs of one method.

    Attributes:
        name: of the array that their predictions are.
        runs: its runs, by seed and fold.
        takes: what is taken of their predictions.
    """

    name: str
    runs: tuple[StageRun, ...]
    takes: Takes = "labels"

    @property
    def spec(self) -> ArraySpec:
        """The form of the array."""
        classes = len(self.runs[0].record["dataset"]["classes"])
        if self.takes == "regions":
            return ArraySpec(channels=int(_settings(self.runs[0])["task.heads.regions"]))
        return ArraySpec(classes=classes) if self.takes == "labels" else ArraySpec(channels=classes)

    def predictors(self, dataset: str, case: CaseMeta) -> tuple[StageRun, ...]:
        """The runs that do not know a case, whose prediction of it is no leak; none where all know it."""
        return tuple(run for run in self.runs if not run.known.has(dataset, case))

    def predictors_of(self, dataset: str, cases: Sequence[CaseMeta]) -> dict[str, tuple[StageRun, ...]]:
        """The runs that may predict each case, by its id.

        Raises:
            UserError: where all runs know a case.
        """
        chosen = {case.id: self.predictors(dataset, case) for case in cases}
        leaks = [case for case, runs in chosen.items() if not runs]
        if leaks:
            folds = int(self.runs[0].record.get("folds", 0))
            missing = sorted(set(range(folds)) - {int(run.record["fold"]) for run in self.runs})
            others = f" (fold={','.join(map(str, missing))} -m)" if missing else ""
            raise UserError(
                f"stages.{self.name}: {len(leaks)} of {len(cases)} cases were training or validation cases of every run"
                f" that it names, such as {leaks[0]}, so that their predictions would be a leak; name runs of all folds"
                f"{others}"
            )
        return chosen

    def as_record(self, predictors: Mapping[str, Sequence[StageRun]]) -> dict[str, Any]:
        """The stage for run.json: its runs, and the cases that each has predicted.

        Args:
            predictors: by case, the runs that have.
        """
        runs = [
            {
                "id": run.id,
                "path": str(run.path),
                "seed": run.record["seed"],
                "fold": run.record["fold"],
                "cases": [case for case, chosen in predictors.items() if run in chosen],
            }
            for run in self.runs
        ]
        return {"method": self.runs[0].record["choices"].get("model"), "takes": self.takes, "runs": runs}


def find_stages(setting: DictConfig | Mapping[str, Any] | None) -> tuple[Stage, ...]:
    """The stages that a configuration names.

    Args:
        setting: the value of `stages`.

    Raises:
        UserError: where there is none, one is not finished, or they are not runs of one method on the same data set.
    """
    stages = []
    for named in named_stages(setting):
        check_names([named.name], "stages")
        runs = tuple(StageRun(path, record) for path, record in named.runs())
        check_one_method(runs, named.key, named.takes)
        stages.append(Stage(named.name, runs, named.takes))
    _check_no_loop(stages, ())
    return tuple(stages)


def recorded_stages(run: Path, places: DictConfig | Mapping[str, Any] | None = None) -> tuple[Stage, ...]:
    """The stages that a finished run was trained with.

    Args:
        run: its directory.
        places: where they are now, as `stages` names them; None: where they were.

    Raises:
        UserError: where one is not there.
    """
    now = {run.id: run for run in _runs_in(places)}
    stages = []
    for name, facts in (RunDirectory(run).record.get("stages") or {}).items():
        runs = tuple(now.get(one["id"]) or _recorded_run(run, name, one) for one in facts["runs"])
        stages.append(Stage(name, runs, facts["takes"]))
    _check_no_loop(stages, (run.resolve(),))
    return tuple(stages)


def known_to(stages: Iterable[Stage]) -> TrainingImages:
    """The images that one of the runs of stages knows, or of the stages before them."""
    known = TrainingImages()
    for run in (run for stage in stages for run in stage.runs):
        known |= run.known | TrainingImages.of_stages(RunDirectory(run.path))
    return known


def unused(stages: Iterable[Stage], config: DictConfig) -> list[str]:
    """The stages that neither the network's input nor the task names."""
    task = OmegaConf.to_container(config.task, resolve=True)
    named = {*config.data.input_arrays, *_texts(task)}
    return [stage.name for stage in stages if stage.name not in named]


def _recorded_run(cascade: Path, name: str, facts: Mapping[str, Any]) -> StageRun:
    path = Path(facts["path"])
    record = RunDirectory(path).record
    if record.get("id") != facts["id"]:
        what = f"holds another run (id {record['id']})" if "id" in record else "is no run directory any more"
        raise UserError(
            f"run={cascade}: its stage {name} is the run {facts['id']}, and {path} {what}: say where it is now,"
            f" stages={{{name}: FOLDER}}"
        )
    return StageRun(path, record)


def _runs_in(places: DictConfig | Mapping[str, Any] | None) -> Iterator[StageRun]:
    """All runs in the places of all stages, finished or not: their ids say which one is which."""
    for named in named_stages(places):
        for path in find_runs(named.places, key=named.key):
            yield StageRun(path.absolute(), RunDirectory(path).record)


def check_one_method(runs: Sequence[StageRun], key: str, takes: Takes = "labels") -> None:
    """Check that runs differ in seed and fold alone, and have weights.

    Args:
        runs: at least one.
        key: that names them, for messages.
        takes: what is taken of their predictions, for which they must have a head.

    Raises:
        UserError: where they do not.
    """
    first, *others = runs
    repetitions = {(first.record["seed"], first.record["fold"]): first}
    for run in runs:
        if not run.checkpoint.exists():
            raise UserError(f"{key}: {run.path} has no {run.checkpoint.name}, so that it cannot predict")
    settings = _settings(first)
    head = _HEADS.get(takes)
    if head is not None and f"task.heads.{head}" not in settings:
        raise UserError(f"{key}.takes={takes}: {first.path} has no head {head}; take labels")
    for run in others:
        if run.record["dataset"]["fingerprint"] != first.record["dataset"]["fingerprint"]:
            raise UserError(
                f"{key}: {first.path} and {run.path} were trained on different images or masks: name the runs of"
                " one data set"
            )
        mine = _settings(run)
        keys = [key for key in {**settings, **mine} if settings.get(key) != mine.get(key)]
        if keys:
            raise UserError(
                f"{key}: {first.path} and {run.path} are not of one method, they differ in {keys[0]}"
                f" ({settings.get(keys[0])} and {mine.get(keys[0])}): name the runs of one method"
            )
        twin = repetitions.setdefault((run.record["seed"], run.record["fold"]), run)
        if twin is not run:
            raise UserError(f"{key}: {twin.path} and {run.path} have the same seed and fold: leave one out")


def _check_no_loop(stages: Iterable[Stage], before: tuple[Path, ...]) -> None:
    """Refuse runs that are among their own stages, which no training but an edited record makes."""
    for run in (run for stage in stages for run in stage.runs):
        path = run.path.resolve()
        if path in before:
            raise UserError(f"{path} is a stage of itself, by way of {before[-1]}: its {RECORD} was edited")
        facts = (run.record.get("stages") or {}).values()
        own = [StageRun(Path(one["path"]), RunDirectory(Path(one["path"])).record) for s in facts for one in s["runs"]]
        _check_no_loop([Stage("", tuple(own))], (*before, path))


def _settings(run: StageRun) -> dict[str, Any]:
    """The configuration of a run as one level of dotted keys, less what may differ.

    Frequencies of classes, such as a loss weighs them by, are those of the training cases, and so of the fold.
    """
    plain = read_config(run.path)
    measured = [value for value in plain["measured"].values() if isinstance(value, list)]
    return {key: "measured" if value in measured else value for key, value in _flat(essential(plain), "")}


def _flat(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        path = f"{prefix}{key}"
        if path in _NOT_A_METHOD:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping | list):
        for child in node.values() if isinstance(node, Mapping) else node:
            yield from _texts(child)
    elif isinstance(node, str):
        yield node


@cache
def _file_digest(path: Path, size: int, modified: int) -> str:
    """Hash of a file; its size and time are there to notice that it has changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prediction_key(runs: Sequence[StageRun]) -> str:
    """The name of the folder of the predictions of some runs, whose mean is taken where there are several."""
    names = sorted(f"{run.id}-{run.digest()}" for run in runs)
    if len(names) == 1:
        return names[0]
    return f"mean-{hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]}"
