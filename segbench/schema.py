"""What a valid configuration is; the one place that instantiates one."""

from __future__ import annotations

import difflib
import inspect
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segbench.errors import UserError

if TYPE_CHECKING:
    from segbench.data.case import Dataset
    from segbench.data.datamodule import DataModule
    from segbench.data.splits import Split
    from segbench.data.store import CaseStore
    from segbench.module import SegmentationModule
    from segbench.scoring import CaseScorer

log = logging.getLogger(__name__)
logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # its errors are raised here, in one line


@dataclass(frozen=True)
class Labels:
    """What a module has to know of its data set: its name, its classes, and which of them is background."""

    dataset: str
    classes: tuple[str, ...]
    background: int | None

    @classmethod
    def of(cls, dataset: Dataset) -> Labels:
        """Those of a data set."""
        return cls(dataset.name, tuple(dataset.classes), dataset.background)


def check(config: DictConfig) -> None:
    """Checks what can be checked without reading data or importing a network.

    Raises:
        UserError: naming the key that is wrong and what would be right.
    """
    parts = {name: set(map(str, config.task[name])) for name in ("heads", "targets", "objective")}
    for name, keys in parts.items():
        for other, other_keys in parts.items():
            for odd in sorted(keys - other_keys):
                raise UserError(
                    f"task.{name}.{odd}: there is no task.{other}.{odd}; heads, targets and objective must match"
                )
    if any(size < 1 for size in config.data.patch_size):
        raise UserError(f"data.patch_size={list(config.data.patch_size)}: every size must be at least 1")
    if config.data.batch_size < 1:
        raise UserError(f"data.batch_size={config.data.batch_size}: must be at least 1")


def require(config: DictConfig, key: str) -> Any:
    """A value that must be given.

    Raises:
        UserError: where it is not.
    """
    if OmegaConf.is_missing(config, key) or config[key] is None:
        raise UserError(f"{key} is not set: give it as {key}=..")
    return config[key]


def check_keys(config: DictConfig, reference: DictConfig, added: set[str], where: str) -> None:
    """Checks that a file which is merged into the configuration sets known keys only.

    Args:
        config: the configuration with the file.
        reference: the same choices without it.
        added: keys that the user added by `+key=value`; everything below them is free.
        where: the file, for the message.

    Raises:
        UserError: naming the key and the nearest one that exists.
    """
    for path, siblings in _unknown_keys(config, reference, ""):
        if any(path == key or path.startswith(f"{key}.") for key in added):
            continue
        raise UserError(f"{where}: {path} is no key of the configuration{_suggestion(path, siblings)}")


def check_targets(config: DictConfig) -> None:
    """Checks that every `_target_` can be imported and takes the arguments it is given.

    Raises:
        UserError: naming the key, and the nearest argument that exists.
    """
    for path, node in _target_nodes(config, ""):
        if OmegaConf.is_missing(node, "_target_"):
            raise UserError(f"{path}._target_ is not set: give the class, such as {path}._target_=package.module.Class")
        try:
            function = get_object(node._target_)
        except Exception as error:  # an import runs any code
            raise UserError(f"{path}._target_={node._target_}: {_one_line(error)}") from error
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            continue
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values()):
            continue
        known = [f"{path}.{name}" for name in signature.parameters if name != "self"]
        for key in map(str, node):
            if not key.startswith("_") and key not in signature.parameters:
                raise UserError(f"{path}.{key}: {node._target_} takes no {key!r}{_suggestion(f'{path}.{key}', known)}")


def build(node: Any, key: str, **arguments: Any) -> Any:
    """Instantiates one node of the configuration.

    Args:
        node: with a `_target_`.
        key: where it stands, for messages.
        arguments: added to those of the node.

    Raises:
        UserError: where its class refuses the values.
    """
    try:
        if not arguments:
            return instantiate(node, _convert_="all")
        # Called here, not by Hydra, which would copy the arguments into a configuration.
        return instantiate(node, _convert_="all", _partial_=True)(**arguments)
    except (InstantiationException, OmegaConfBaseException, TypeError, ValueError) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UserError):
                raise cause from None
            deepest, cause = cause, cause.__cause__
        place = getattr(error, "full_key", None) or key
        if isinstance(deepest, ImportError | TypeError | ValueError | KeyError | OmegaConfBaseException):
            raise UserError(f"{place}: {_one_line(deepest)}") from error
        raise


def build_dataset(config: DictConfig) -> tuple[Dataset, CaseStore]:
    """The data set and its decoded cases."""
    from segbench.data.store import CaseStore

    dataset: Dataset = build(config.data.dataset, "data.dataset")
    return dataset, CaseStore(dataset, config.data.cache)


def build_data(config: DictConfig) -> DataModule:
    """The data set, its split, and what makes training samples of it. Fills in `config.measured`.

    Raises:
        UserError: where the data does not allow what the configuration asks for.
    """
    from segbench.data.datamodule import DataModule
    from segbench.data.patches import PatchSampler

    dataset, store = build_dataset(config)
    split = build_split(config, dataset, store)
    _check_patch(config, dataset, store, split)
    pixels = _class_pixels(dataset, store, split)
    config.measured.spatial_dims = dataset.spatial_dims
    config.measured.in_channels = dataset.channels
    config.measured.classes = len(dataset.classes)
    config.measured.class_frequencies = [count / sum(pixels) for count in pixels]
    sampler = PatchSampler(
        store=store,
        cases=split.train,
        patch_size=tuple(config.data.patch_size),
        foreground=config.data.foreground,
        augmentation=build(config.augmentation, "augmentation"),
        targets=build(config.task.targets, "task.targets"),
        normalize=normalization(config),
        background=dataset.background,
        seed=config.seed,
    )
    return DataModule(dataset, store, split, sampler, config.data.batch_size, _workers(config))


def build_split(config: DictConfig, dataset: Dataset, store: CaseStore) -> Split:
    """The split of the configured fold, or of the split file."""
    from pathlib import Path

    from segbench.data.splits import make_split, read_split

    records = dataset.records()
    if config.split.file is not None:
        return read_split(Path(config.split.file), records)
    present = {record.id: store.meta(record.id).present for record in records}
    return make_split(records, present, folds=config.folds, fold=config.fold, seed=config.split.seed)


def normalization(config: DictConfig) -> Any:
    """The function that `data.normalize` names."""
    from segbench.data.normalize import NORMALIZATIONS

    try:
        return NORMALIZATIONS[config.data.normalize]
    except KeyError:
        known = ", ".join(NORMALIZATIONS)
        raise UserError(f"data.normalize={config.data.normalize}: must be one of {known}") from None


def build_scorer(config: DictConfig, labels: Labels, split: str) -> CaseScorer:
    """What scores a case by all metrics of the configuration."""
    from segbench.scoring import CaseScorer

    metrics = config.metrics
    return CaseScorer(
        classes=labels.classes,
        background=labels.background,
        class_metrics=build(metrics.classes, "metrics.classes"),
        object_metrics=build(metrics.objects, "metrics.objects"),
        empty_distance=metrics.empty_distance,
        columns={"dataset": labels.dataset, "split": split, "fold": config.fold, "seed": config.seed},
    )


def build_module(config: DictConfig, labels: Labels) -> SegmentationModule:
    """The network with its objective, optimizer, inference, decoder and metrics.

    `config.measured` must be filled in. The weights are drawn from `seed`.
    """
    import lightning as L

    from segbench.metrics.overlap import dice
    from segbench.module import SegmentationModule
    from segbench.objective import Objective
    from segbench.scoring import CaseScorer

    L.seed_everything(config.seed, verbose=False)
    return SegmentationModule(
        model=build(config.model, "model"),
        objective=Objective(build(config.task.objective, "task.objective")),
        optimizer=build(config.optimizer, "optimizer"),
        scheduler=build(config.scheduler, "scheduler"),
        inference=build(config.inference, "inference"),
        decoder=build(config.decoder, "decoder", background=labels.background),
        scorer=build_scorer(config, labels, "test"),
        validation_scorer=CaseScorer(labels.classes, labels.background, {"dice": dice}),
        channels_last=config.trainer.channels_last,
        seed=config.seed,
    )


def _check_patch(config: DictConfig, dataset: Dataset, store: CaseStore, split: Split) -> None:
    """Says which training images are padded to the patch."""
    patch = list(config.data.patch_size)
    if len(patch) != dataset.spatial_dims:
        raise UserError(
            f"data.patch_size={patch}: {dataset.name} has {dataset.spatial_dims} spatial dimensions,"
            f" so give {dataset.spatial_dims} sizes"
        )
    small = [
        case
        for case in split.train
        if any(want > have for want, have in zip(patch, store.meta(case).shape[1:], strict=True))
    ]
    if small:
        log.info(
            "data.patch_size=%s is larger than %d of %d training images, such as %s: they are padded by mirroring",
            patch, len(small), len(split.train), small[0],
        )  # fmt: skip


def _class_pixels(dataset: Dataset, store: CaseStore, split: Split) -> list[int]:
    """Pixels of each class in the training cases.

    Raises:
        UserError: where a class has none: no network could learn it.
    """
    counts = [sum(column) for column in zip(*(store.meta(case).pixels for case in split.train), strict=True)]
    for name, count in zip(dataset.classes, counts, strict=True):
        if count == 0:
            raise UserError(
                f"class {name!r} of {dataset.name} is in none of the {len(split.train)} training cases:"
                " it cannot be learnt; check the masks and data.dataset, or choose another fold or split.seed"
            )
    return counts


def _workers(config: DictConfig) -> int:
    workers = config.data.workers
    if workers != "auto":
        return int(workers)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores - 1))


def _unknown_keys(config: DictConfig, reference: DictConfig, prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Keys that the reference does not have, with those that it has beside them.

    Below an empty or missing node, and below a node with a `_target_`, keys are free: its class knows
    which ones it takes.
    """
    for key in map(str, config):
        path = f"{prefix}{key}"
        if key not in reference:
            yield path, [f"{prefix}{other}" for other in map(str, reference)]
            continue
        ours, theirs = _raw(config, key), _raw(reference, key)
        if isinstance(ours, DictConfig) and isinstance(theirs, DictConfig) and len(theirs) and "_target_" not in theirs:
            yield from _unknown_keys(ours, theirs, f"{path}.")


def _target_nodes(node: Any, path: str) -> Iterator[tuple[str, DictConfig]]:
    if isinstance(node, DictConfig):
        if "_target_" in node.keys():  # noqa: SIM118  # also where it is still "???"
            yield path, node
        for key in map(str, node.keys()):
            yield from _target_nodes(_raw(node, key), f"{path}.{key}" if path else key)
    elif isinstance(node, ListConfig):
        for index in range(len(node)):
            yield from _target_nodes(node._get_node(index), f"{path}[{index}]")


def _raw(node: DictConfig, key: str) -> Any:
    """A child as written: neither resolved nor required to be set."""
    return node._get_node(key)


def _suggestion(path: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(path, known, n=1)
    if nearest:
        return f"; did you mean {nearest[0]}?"
    return f"; known are {', '.join(known)}" if known else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def as_plain(config: DictConfig) -> Mapping[str, Any]:
    """The configuration, resolved, as plain dicts and lists."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
