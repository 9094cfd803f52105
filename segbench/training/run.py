"""One run: configuration in, run directory out."""

from __future__ import annotations

import atexit
import gc
import logging
import secrets
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import cache, partial
from typing import Any, Protocol

import lightning as L
import numpy as np
from omegaconf import DictConfig

from segbench.config import schema
from segbench.config.identity import run_id
from segbench.config.instantiation import build
from segbench.config.invocation import Invocation
from segbench.config.plain import as_plain, as_yaml
from segbench.config.user_modules import named_modules
from segbench.data.case_meta import measure_sizes
from segbench.data.datamodule import DataModule
from segbench.data.formats import write_mask
from segbench.data.labels.structures import measure_structures
from segbench.data.leaks import leaks, warning
from segbench.data.series import hint
from segbench.evaluation.annotators import check_references, score_annotators
from segbench.evaluation.previews import write_curves
from segbench.evaluation.results import PredictedLabels, measure_cost, predicted_labels, write_previews
from segbench.evaluation.tables import write_tables
from segbench.loggers import check_loggers
from segbench.loggers.curves import Curves
from segbench.metrics.configured import criterion, directions
from segbench.metrics.cost import parameters, peak_memory, reset_peak_memory
from segbench.models.estimator import Estimator
from segbench.runs import data_check
from segbench.runs.code_states import states_of
from segbench.runs.criterion import finite
from segbench.runs.directory import RunDirectory, now, read_cases
from segbench.runs.provenance import git_state, hardware, versions
from segbench.runs.stages import Stage, find_stages, known_to, unused
from segbench.runs.summary import summarise
from segbench.runs.training_images import TrainingImages
from segbench.system.processes import batch_on_each_device, processes, total_batch
from segbench.training import assembly, initial_weights
from segbench.training.checkpoints import Checkpoints
from segbench.training.fitting import fit
from segbench.training.kept_states import best_state, newest_state
from segbench.training.memory_errors import said_in_one_line
from segbench.training.module import SegmentationModule
from segbench.training.objective import check_learnable
from segbench.training.predictor import load_run
from segbench.training.progress_bar import ProgressBar
from segbench.training.stages import StagePredictions
from segbench.training.stopper import Stopper
from segbench.training.trainer import check_trainer, make_trainer

log = logging.getLogger(__name__)


class EndsEarly(Protocol):
    """A callback of the search that the run is a trial of.

    Attributes:
        hopeless: whether the search has ended the run.
    """

    hopeless: bool


def run(config: DictConfig, invocation: Invocation) -> RunDirectory:
    """Train, evaluate and record one configuration; return at once if that is done already.

    Raises:
        UserError: where the configuration, the data or the directory do not allow it.
        Stopped: on a signal; the same call continues.
    """
    schema.check(config)
    check_trainer(config.trainer)
    check_loggers(config.logger)
    identity = run_id(config)
    with RunDirectory(invocation.path).open(identity, patient=invocation.in_sweep) as directory:
        if directory.done:
            data_check.check_still_same([directory], config.data)
            log.info("%s already: %s", directory.status, directory.path)
            return directory
        with said_in_one_line(config):
            _execute(config, invocation, identity, directory)
    gc.collect()  # trainer and module refer to each other: in a sweep they would keep images of every run open
    _forget_libraries()
    return directory


def _execute(config: DictConfig, invocation: Invocation, identity: str, directory: RunDirectory) -> None:
    schema.check_targets(config)
    criterion(config.metrics)  # what is wrong with metrics, or with losses, is said before data is read
    check_learnable(config)
    source = initial_weights.source(config.initial_weights, directory)
    stages = find_stages(config.get("stages"))
    for name in unused(stages, config):
        log.warning(
            "stages.%s: nothing looks at it: name it in data.input_arrays=[%s], or as the array of a target or weight",
            name, name,
        )  # fmt: skip
    code = states_of(directory, config.code, named_modules(config), lambda: _reached(directory))
    stopper = Stopper()
    # Before training there is nothing to save. Several processes would wait for one that has gone.
    with stopper.listening(at_once=processes(config) == 1), ExitStack() as ending:
        load = partial(load_run, accelerator=config.trainer.accelerator, trusted=config.trust)
        predictions = StagePredictions(stages, config.data.cache, load, stopper.check)
        data = assembly.build_data(config, predictions)
        data_check.check_same(directory, data.store)
        data_check.check_place(directory.path, data.store.records, config.data.root)
        module = assembly.build_module(config, assembly.Labels.of(data.dataset, data.store))
        if source is not None:
            initial_weights.check_unseen(source, data.dataset.name, data.store, data.split)
            initial_weights.take_over(module.model, source)
        if _is_new(directory, module, config):
            ending.callback(data.end)
            data.begin()
        check_references(config.metrics.references, data.store)
        facts = _facts(config, invocation, identity, data, directory)
        directory.start(as_yaml(config), {**facts, **_stage_facts(stages, data), "code": code})
        seen = {"seen": _images_known(config, data, directory, source).as_json()}
        if stages:
            seen["seen_by_stages"] = known_to(stages).as_json()
        directory.write_split(
            {
                **data.split.as_dict(),
                "fold": config.fold,
                "folds": config.folds,
                **seen,
                data_check.DIGESTS: data_check.digests(data.store),
            }
        )
        with _open_loggers(config, directory) as loggers:
            checkpoints = Checkpoints(directory, config.trainer.checkpoint_every, module.criterion, stopper)
            callbacks = [build(node, f"callbacks.{key}") for key, node in (config.callbacks or {}).items()]
            search = None if config.search is None else build(config.search, "search")
            callbacks += [] if search is None else [search]
            if config.trainer.progress:
                callbacks.append(ProgressBar(module.criterion, config.trainer.log_every))
            trainer = make_trainer(config.trainer, [*callbacks, stopper, checkpoints], loggers)
            directory.update(precision={"asked": config.trainer.precision, "used": trainer.precision})
            _describe(module, data, trainer.precision)
            reset_peak_memory(trainer.strategy.root_device)
            stopper.note()
            _train(module, data, trainer, directory, checkpoints, search)
            if not directory.done:
                _evaluate(config, module, data, trainer, directory, loggers)


def _images_known(
    config: DictConfig, data: DataModule, directory: RunDirectory, source: RunDirectory | None
) -> TrainingImages:
    return TrainingImages.at_start(directory, data.store, data.split, source, config.initial_weights)


def _reached(directory: RunDirectory) -> int:
    """The step from which a run goes on, 0 where it begins."""
    state = newest_state(directory) if "training" not in directory.record else None
    return int(directory.record.get("training", {}).get("steps", 0)) if state is None else state.step


def _is_new(directory: RunDirectory, module: SegmentationModule, config: DictConfig) -> bool:
    """Return whether a training of one process, by steps, begins here."""
    begins = not directory.states and "training" not in directory.record
    return begins and not isinstance(module.model, Estimator) and processes(config) == 1


def _train(
    module: SegmentationModule,
    data: DataModule,
    trainer: L.Trainer,
    directory: RunDirectory,
    checkpoints: Checkpoints,
    search: EndsEarly | None,
) -> None:
    """Train to the end, from where the last checkpoint stands; leave the best weights in the module.

    A run that its search has ended early is done with that.
    """
    if "training" not in directory.record:  # early stopping may have ended it before its last step
        if isinstance(module.model, Estimator):
            fit(module, data, trainer, checkpoints)
        else:
            state = newest_state(directory)
            if state is not None:
                log.info("continuing from %s", state.path)
            trainer.fit(module, data, ckpt_path=None if state is None else state.path, weights_only=True)
        seen, best = finite(checkpoints.train_score), finite(checkpoints.best_score)
        ended = {"status": "pruned", "finished": now()} if search is not None and search.hopeless else {}
        directory.update(
            **ended,
            training={
                "steps": trainer.global_step,
                "seconds": checkpoints.seconds,
                "best_step": checkpoints.best_step,
                "best_score": best,
                "train_score": seen,
                # generalisation gap at the best step
                "gap": None if seen is None or best is None else module.criterion.gap(seen, best),
            },
        )
    checkpoint = best_state(directory)
    module.load_state_dict(checkpoint["state_dict"])
    module.tables = checkpoint.get("tables", {})


def _evaluate(
    config: DictConfig,
    module: SegmentationModule,
    data: DataModule,
    trainer: L.Trainer,
    directory: RunDirectory,
    loggers: Sequence[Any],
) -> None:
    """Score the test cases and write all results; `finished` comes last."""
    labels = PredictedLabels()
    module.on_predicted = _prediction_writer(directory, data, labels) if config.predictions else labels.keep
    trainer.test(module, data, verbose=False)
    if not trainer.is_global_zero:
        return
    order = {case: position for position, case in enumerate(data.split.test)}
    directory.write_cases(sorted(module.rows, key=lambda row: order[row["case"]]))  # whichever process scored it
    cases, regions = read_cases(directory.cases), as_plain(config.measured.regions)
    for name, rows in _annotators(config, module, data, trainer, labels).items():
        directory.write_cases(rows, name)
    write_previews(cases, labels, data, trainer, module, directory.path / "previews", regions)
    write_curves(directory.path / "metrics.csv", directory.path / "curves.png", module.criterion)
    tables = {name: table.numpy() for name, table in module.tables.items()}
    write_tables(tables, data.dataset.classes, directory.path, "validation cases at the best step:")
    used = peak_memory(module.device)  # before the network is measured, which only some runs do
    patch_shape = config.measured.in_channels, *config.data.patch_size
    cost = {
        **measure_cost(module, patch_shape, config.metrics.receptive_field, as_plain(config.model)),
        "seconds_per_case": statistics.median(module.seconds),
        "train_seconds": directory.record["training"]["seconds"],
        "peak_memory_bytes": used,
    }
    directory.update(cost=cost)
    numbers = {f"cost/{key}": value for key, value in cost.items() if isinstance(value, int | float)}
    for logger in loggers:
        logger.record_result(summarise(cases) | numbers)
    directory.finish()


def _annotators(
    config: DictConfig, module: SegmentationModule, data: DataModule, trainer: L.Trainer, labels: PredictedLabels
) -> dict[str, list[dict[str, Any]]]:
    """The tables of scores of further annotators, by their paths; none without any."""
    names = config.metrics.references
    if not names:
        return {}
    scorer = assembly.build_scorer(config, assembly.Labels.of(data.dataset, data.store), "test")
    predicted = partial(predicted_labels, labels, data, trainer, module)
    return score_annotators(names, data.store, data.split.test, scorer, predicted, data.dataset.object_classes)


@cache
def _forget_libraries() -> None:
    """Take all libraries out of the next garbage collections; called after the first run."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # some complain at the end of the process about what is still there


@contextmanager
def _open_loggers(config: DictConfig, directory: RunDirectory) -> Iterator[list[Any]]:
    """The loggers, closed in the end as failed or not."""
    loggers: list[Any] = [Curves(directory)]
    failed = True
    try:
        for key, node in (config.logger or {}).items():
            loggers.append(build(node, f"logger.{key}", directory=directory, config=as_plain(config)))
        yield loggers
        failed = False
    finally:
        for logger in loggers:
            logger.close(failed)


def _facts(
    config: DictConfig, invocation: Invocation, identity: str, data: DataModule, directory: RunDirectory
) -> dict[str, Any]:
    """The facts that `run.json` holds from the start."""
    dataset, split, ways = data.dataset, data.split, directions(config.metrics)
    return {
        "id": identity,
        "name": invocation.name,
        "wandb_id": directory.record.get("wandb_id", secrets.token_hex(8)),
        "dataset": {
            "name": dataset.name,
            "classes": list(dataset.classes),
            "background": dataset.background,
            "objects": None if dataset.objects is None else list(dataset.objects),
            "cases": {part: len(ids) for part, ids in split.as_dict().items()},
            **data_check.facts(data.store),
            "leaks": leaks(data.store, split),
            "structures": measure_structures(dataset, data.store),
            "sizes": measure_sizes([data.store.meta(case) for case in data.store.ids]),
        },
        "input_arrays": {name: asdict(spec) for name, spec in data.sampler.input_arrays.items()},
        "choices": dict(invocation.choices),
        "overrides": list(invocation.overrides),
        "seed": config.seed,
        "fold": config.fold,
        "folds": config.folds,
        "budget": {
            "max_steps": config.trainer.max_steps,
            "batch_size": total_batch(config),
            "patch_size": list(config.data.patch_size),
        },
        "devices": {
            "number": processes(config),  # on all nodes together
            "nodes": config.trainer.num_nodes,
            "batch_size": batch_on_each_device(config),  # of each
        },
        "metrics": {**ways["classes"], **(ways["objects"] if dataset.has_instances else {}), **ways["probabilities"]},
        "chosen_by": criterion(config.metrics).as_json,
        "metric_settings": {
            key: value for key, value in as_plain(config.metrics).items() if key not in ("streaming", "references")
        },
        "versions": versions(),
        "git": git_state(),
        "hardware": hardware(),
    }


def _stage_facts(stages: Sequence[Stage], data: DataModule) -> dict[str, Any]:
    """The facts about stages for `run.json`; none without stages."""
    split = data.split
    cases = [data.store.meta(case) for case in (*split.train, *split.validation, *split.test)]
    facts = {stage.name: stage.as_record(stage.predictors_of(data.dataset.name, cases)) for stage in stages}
    return {"stages": facts} if facts else {}


def _prediction_writer(
    directory: RunDirectory, data: DataModule, labels: PredictedLabels
) -> Callable[[str, np.ndarray, np.ndarray | None], None]:
    """Keep each predicted mask, and write it in the format of its image."""
    folder = directory.path / "predictions"
    folder.mkdir(exist_ok=True)
    files = {record.id: record.files for record in data.store.records}

    def write(case: str, label: np.ndarray, regions: np.ndarray | None) -> None:
        labels.keep(case, label, regions)
        path = folder / case
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mask(path, label, like=files[case][0] if files[case] else None)

    return write


def _describe(module: SegmentationModule, data: DataModule, precision: str) -> None:
    """Say in a few lines what is about to happen."""
    split, dataset = data.split, data.dataset
    log.info(
        "%s: %d training, %d validation and %d test cases; classes %s",
        dataset.name, len(split.train), len(split.validation), len(split.test), ", ".join(dataset.classes),
    )  # fmt: skip
    if (advice := hint(dataset, data.store)) is not None:
        log.warning("%s", advice)
    if found := leaks(data.store, split):
        log.warning(
            "%s; remove one of each, or give both a group (segbench prepare names all)", warning(found, len(split.test))
        )
    model = module.model
    stages = ", ".join(f"{name} {parameters(child) / 1e6:.2f} M" for name, child in model.named_children())
    log.info(
        "%s: %.2f M parameters (%s); %s", type(model).__name__, parameters(model) / 1e6, stages or "fitted", precision
    )
