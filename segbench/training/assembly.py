"""The assembly of data and module from a valid configuration."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
from omegaconf import DictConfig, OmegaConf

from segbench.config.instantiation import build
from segbench.config.plain import as_plain
from segbench.data.augmentations.augmenter import Augmenter
from segbench.data.case import Dataset
from segbench.data.class_balance import shares_where_present
from segbench.data.configured import open_dataset, split_of
from segbench.data.datamodule import DataModule
from segbench.data.labels.instance_requirement import check_objects
from segbench.data.labels.object_remarks import unnumbered_objects
from segbench.data.labels.region_classes import region_classes
from segbench.data.network_input import NetworkInput
from segbench.data.normalize import Normalize, chosen_normalizations, foreground_statistics, normalization_of
from segbench.data.patches import PatchSampler
from segbench.data.placement import TrainingCases
from segbench.data.preparation import Preparation, seen_cases
from segbench.data.slices import Slices, slice_axis, slice_of
from segbench.data.splits import Split
from segbench.data.store import CaseStore
from segbench.errors import UserError
from segbench.evaluation.scoring import CaseScorer
from segbench.inference.slice_by_slice import SliceBySlice
from segbench.inference.views import Inference, mirrored_axes
from segbench.metrics.configured import chosen_functions, criterion, functions
from segbench.metrics.streaming import build_streaming
from segbench.system.processes import is_main_process, total_batch
from segbench.training.module import SegmentationModule
from segbench.training.objective import Objective
from segbench.training.planned import plan_run

log = logging.getLogger(__name__)

Extend = Callable[[str, CaseStore, Sequence[str]], CaseStore]
"""A function of a data set's name, its store and ids of cases: the store with further arrays of these cases."""


@dataclass(frozen=True)
class Labels:
    """The facts that a module has to know of its data set.

    Attributes:
        dataset: its name.
        classes: names, by class index.
        background: the class left out of scores, or None.
        objects: the classes whose connected regions are objects; None: all but the background.
        instances: whether its cases may have objects to score.
    """

    dataset: str
    classes: tuple[str, ...]
    background: int | None
    objects: tuple[int, ...] | None = None
    instances: bool = True

    @classmethod
    def of(cls, dataset: Dataset, store: CaseStore | None = None) -> Labels:
        """The labels of a data set; its decoded cases show whether there are objects."""
        objects = None if dataset.objects is None else tuple(dataset.objects)
        instances = store is None or any(store.meta(case).objects is not None for case in store.ids)
        return cls(dataset.name, tuple(dataset.classes), dataset.background, objects, instances)


def build_dataset(config: DictConfig) -> tuple[Dataset, CaseStore]:
    """The data set and its decoded cases."""
    return open_dataset(config.data)


def build_data(config: DictConfig, extend: Extend | None = None) -> DataModule:
    """The data set, its split, and what makes training samples of it. Fills in `config.measured`.

    Args:
        config: of the run.
        extend: gives the cases of the split further arrays.

    Raises:
        UserError: where the data does not allow what the configuration asks for.
    """
    dataset, store = build_dataset(config)
    check_objects(config.task, dataset)
    split = build_split(config, store)
    if extend is not None:
        store = extend(dataset.name, store, (*split.train, *split.validation, *split.test))
    plan_run(config, dataset, store, split)
    pixels = _class_pixels(dataset, store, split)
    config.measured.case_dims = dataset.spatial_dims
    _measure_normalization(config, dataset, store, split)
    cases = seen_cases(dataset, store, preparation(config), config.data.cache)
    slices = _measure_slices(config, dataset, store)
    config.measured.spatial_dims = dataset.spatial_dims if slices is None else 2
    _check_patch(config, dataset, cases.store, split, slices)
    seen = network_input(config, cases.store)
    config.measured.in_channels = seen.channels(dataset.channels * (1 if slices is None else slices.width))
    config.measured.image_channels = dataset.channels
    config.measured.classes = len(dataset.classes)
    own = dict(dataset.regions) if config.data.regions is None else as_plain(config.data.regions)
    regions = region_classes(own or None, dataset.classes)
    OmegaConf.update(config, "measured.regions", regions, merge=False, force_add=True)
    config.measured.region_count = len(regions)
    config.measured.class_frequencies = [count / sum(pixels) for count in pixels]
    per_case = [store.meta(case).pixels for case in split.train]
    config.measured.class_frequencies_where_present = shares_where_present(per_case)
    config.measured.class_0_counts = dataset.background != 0
    sampler = PatchSampler(
        cases=TrainingCases(cases.store, split.train, dataset.background, config.seed),
        patch_size=tuple(config.data.patch_size),
        placement=build(config.task.sampling, "task.sampling"),
        augmentation=build_augmenter(config.augmentation),
        targets=build(config.task.targets, "task.targets"),
        normalize=seen.normalize,
        weight=None if config.task.weight is None else build(config.task.weight, "task.weight"),
        input_arrays=seen.arrays,
        slices=slices,
    )
    first = cases.store[split.train[0]]
    sampler.augmentation.check(first if slices is None else slice_of(first, slices, 0), sampler.patch_size)
    _remark(dataset, store, split, sampler.weight)
    _ = sampler[0]  # what does not suit the data, such as stains of grey images, says so here, not in a worker
    return DataModule(
        dataset,
        store,
        cases,
        split,
        sampler,
        batch_size=total_batch(config),
        workers=_workers(config),
        gap_cases=config.trainer.gap_cases,
        batches=config.trainer.max_steps * config.trainer.lightning.get("accumulate_grad_batches", 1),
    )


def _remark(dataset: Dataset, store: CaseStore, split: Split, weight: object) -> None:
    """Say what is doubtful about the objects, once."""
    if not (dataset.has_instances and is_main_process()):
        return
    remarks = [unnumbered_objects(store, store.ids)]
    if hasattr(weight, "remark"):
        remarks.append(weight.remark(store, split.train))
    for remark in filter(None, remarks):
        log.warning(remark)


def build_augmenter(node: DictConfig) -> Augmenter:
    """The engine of an augmentation: itself, or that of albumentations for one of its pipelines.

    Args:
        node: `config.augmentation`.

    Raises:
        UserError: if it is neither.
    """
    built = build(node, "augmentation")
    if isinstance(built, Augmenter):
        return built
    from segbench.data.augmentations.albumentations_engine import AlbumentationsEngine  # takes seconds to import

    return AlbumentationsEngine(built)


def build_split(config: DictConfig, store: CaseStore) -> Split:
    """The split of the configured fold."""
    return split_of(config.split, config.folds, config.fold, store)


def normalization(config: DictConfig) -> Normalize:
    """The function that `data.normalize` names; `measured` says what `auto` stands for, and what `ct` goes by."""
    names = config.measured.normalize or [config.data.normalize]  # of a run of an earlier version: one for all channels
    foreground: Any = config.measured.foreground
    known = None if foreground is None else [dict(channel) for channel in foreground]
    return normalization_of(list(names), known)


def preparation(config: DictConfig) -> Preparation:
    """The rules by which volumes are cropped and resampled; images in 2D keep their size."""
    if (config.measured.case_dims or config.measured.spatial_dims) == 2:
        return Preparation()
    data = config.data
    spacing = None if data.spacing is None else tuple(None if edge is None else float(edge) for edge in data.spacing)
    return Preparation(spacing, data.crop, data.thick_slices, "nonzero" in (config.measured.normalize or ()))


def slices_of(config: DictConfig) -> Slices | None:
    """The way in which volumes are cut for a 2D network, once it is measured; None: not at all."""
    axis = config.measured.slice_axis
    return None if axis is None else Slices(axis, config.data.neighbours)


def _measure_slices(config: DictConfig, dataset: Dataset, store: CaseStore) -> Slices | None:
    """Fill in along which axis slices follow each other.

    Raises:
        UserError: where there are no slices, or they are not alike.
    """
    chosen = config.data.slices
    if chosen is not None and dataset.spatial_dims == 2:
        raise UserError(f"data.slices={chosen}: {dataset.name} has images, not volumes")
    if chosen is None and config.data.neighbours:
        raise UserError("data.neighbours: are those of a slice; say which slices, such as data.slices=axial")
    config.measured.slice_axis = None if chosen is None else slice_axis(chosen, store)
    return slices_of(config)


def _measure_normalization(config: DictConfig, dataset: Dataset, store: CaseStore, split: Split) -> None:
    """Fill in what normalisation each channel has and, for ct, the intensities of the training cases' foreground.

    Raises:
        UserError: where images in 2D are to be normalised as volumes are.
    """
    chosen = as_plain(config.data)["normalize"]
    names = chosen_normalizations(chosen, dataset.channel_names, dataset.channels)
    for name in {"ct", "nonzero"} & set(names):
        if dataset.spatial_dims == 2:
            raise UserError(f"data.normalize={name}: is for volumes; {dataset.name} has images in 2D")
    config.measured.normalize = names
    config.measured.foreground = None
    if "ct" in names:
        config.measured.foreground = foreground_statistics([store[case].foreground for case in split.train])


def network_input(config: DictConfig, store: CaseStore) -> NetworkInput:
    """The input of a network, made from the cases of a store.

    Raises:
        UserError: where they have no array of a name in `data.input_arrays`.
    """
    names = config.data.input_arrays
    for name in names:
        if name not in store.arrays:
            known = f"the cases have {', '.join(store.arrays)}" if store.arrays else "the cases have none"
            raise UserError(f"data.input_arrays: there is no array {name!r}; {known} (data.dataset.arrays, stages)")
    return NetworkInput(normalization(config), {name: store.arrays[name] for name in names})


def build_scorer(config: DictConfig, labels: Labels, split: str) -> CaseScorer:
    """A function that scores a case by all metrics of the configuration."""
    metrics = config.metrics
    return CaseScorer(
        classes=labels.classes,
        background=labels.background,
        class_metrics=functions(metrics, "classes"),
        object_metrics=functions(metrics, "objects") if labels.instances else {},
        probability_metrics=functions(metrics, "probabilities"),
        empty_distance=metrics.empty_distance,
        columns={"dataset": labels.dataset, "split": split, "fold": config.fold, "seed": config.seed},
        **_scored(config),
    )


def _scored(config: DictConfig) -> dict[str, Any]:
    """The classes or regions that are scored, as `CaseScorer` takes them."""
    return {"regions": as_plain(config.measured.regions), "scored": tuple(config.task.scores)}


def build_validation_scorer(config: DictConfig, labels: Labels) -> CaseScorer:
    """A function that scores a validation case by the metrics that choose the checkpoint.

    Raises:
        UserError: where they need objects, and the data set has none.
    """
    metrics = config.metrics
    of_objects = chosen_functions(metrics, "objects")
    if of_objects and not labels.instances:
        raise UserError(f"metrics.choose_by={metrics.choose_by}: {labels.dataset} has no objects to score")
    return CaseScorer(
        classes=labels.classes,
        background=labels.background,
        class_metrics=chosen_functions(metrics, "classes"),
        object_metrics=of_objects,
        empty_distance=metrics.empty_distance,
        **_scored(config),
    )


def build_decoder(config: DictConfig, labels: Labels) -> Any:
    """The decoder that makes label maps and objects of a network's outputs."""
    return build(config.decoder, "decoder", background=labels.background, objects=labels.objects)


def build_module(config: DictConfig, labels: Labels) -> SegmentationModule:
    """The network with its objective, optimizer, inference, decoder and metrics.

    `config.measured` must be filled in, but for the score that chooses the checkpoint. The weights are drawn from
    `seed`.
    """
    chosen_by = criterion(config.metrics)
    config.measured.score, config.measured.score_mode = f"validation/{chosen_by.key}", chosen_by.mode
    L.seed_everything(config.seed, verbose=False)
    model = build(config.model, "model")
    if hasattr(model, "check_patch"):  # a network that takes certain sizes only
        model.check_patch(config.data.patch_size)
    if "mirror" in config.inference:  # now, and not at the first validation
        mirrored_axes(as_plain(config.inference)["mirror"], config.measured.spatial_dims)
    return SegmentationModule(
        model=model,
        objective=Objective(build(config.task.objective, "task.objective"), config.task.weight is not None),
        optimizer=build(config.optimizer, "optimizer"),
        scheduler=build(config.scheduler, "scheduler"),
        inference=_inference(config),
        decoder=build_decoder(config, labels),
        scorer=build_scorer(config, labels, "test"),
        validation_scorer=build_validation_scorer(config, labels),
        criterion=chosen_by,
        streaming=build_streaming(config.metrics, labels.classes, chosen_by) if "mask" in config.task.heads else {},
        channels_last=config.trainer.channels_last,
        seed=config.seed,
    )


def _inference(config: DictConfig) -> Inference:
    """The way to predict whole cases; volumes slice by slice, where the network is for slices."""
    inference: Inference = build(config.inference, "inference")
    slices = slices_of(config)
    return inference if slices is None else SliceBySlice(inference, slices, config.measured.image_channels)


def _check_patch(config: DictConfig, dataset: Dataset, store: CaseStore, split: Split, slices: Slices | None) -> None:
    """Say which training images are padded to the patch."""
    patch = list(config.data.patch_size)
    dims = config.measured.spatial_dims
    if len(patch) != dims:
        what = f"{dataset.name} has {dims} spatial dimensions" if slices is None else "slices have 2 spatial dimensions"
        raise UserError(f"data.patch_size={patch}: {what}, so give {dims} sizes")
    size = patch if slices is None else slices.volume_patch(patch)
    small = [
        case
        for case in split.train
        if any(want > have for want, have in zip(size, store.meta(case).shape[1:], strict=True))
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
