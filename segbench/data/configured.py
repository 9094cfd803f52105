"""A data set as a configuration names it, opened, and its split."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from segbench.config.identity import check_name
from segbench.config.instantiation import build
from segbench.config.plain import as_plain
from segbench.data.case import Dataset, check_classes
from segbench.data.nnunet_folds import default_folds, listed_folds, split_of_fold
from segbench.data.splits import Split, listed_split, make_split, read_split_file
from segbench.data.store import CaseStore
from segbench.data.store_cache import opened
from segbench.errors import UserError


def dataset_of(data: DictConfig) -> Dataset:
    """The data set of a configuration's node `data`; nothing is read.

    Raises:
        UserError: where its class refuses its values.
    """
    dataset: Dataset = build(data.dataset, "data.dataset")
    check_name(dataset.name, "data.dataset.name")
    check_classes(dataset.classes, "data.dataset.classes")
    return dataset


def open_dataset(data: DictConfig) -> tuple[Dataset, CaseStore]:
    """The data set of a configuration's node `data` and its decoded cases, which are decoded at their first use.

    Raises:
        UserError: where it is not there, or a case cannot be decoded.
    """
    dataset = dataset_of(data)
    settings = f"{data.cache}: {as_plain(data.dataset)}"
    return dataset, opened(settings, lambda: CaseStore(dataset, data.cache))


def split_of(split: DictConfig, folds: int, fold: int, store: CaseStore) -> Split:
    """The split of a fold: of the split file, of nnU-Net's rule, or of ours.

    Args:
        split: the node of the configuration: method, seed and file.
        folds: how many there are.
        fold: which one.
        store: the cases.

    Raises:
        UserError: where there is no such fold of these cases.
    """
    records = store.records
    present = {record.id: store.meta(record.id).present for record in records}
    if split.file is not None:
        path, where = Path(split.file), f"split.file={split.file}"
        content = read_split_file(path)
        if isinstance(content, dict):
            return listed_split(content, records, path)
        listed = listed_folds(content, where)
        if folds != len(listed):
            raise UserError(f"folds={folds}: {where} has {len(listed)} folds, so give folds={len(listed)}")
    elif split.method == "nnunet":
        listed, where = default_folds(records, folds), "split.method=nnunet"
    else:
        return make_split(records, present, folds=folds, fold=fold, seed=split.seed)
    return split_of_fold(listed, records, present, fold=fold, seed=split.seed, where=where)


def all_splits(split: DictConfig, folds: int, store: CaseStore) -> list[Split]:
    """The splits of all folds; one, where a file or the data set itself fixes all parts.

    Raises:
        UserError: where there are no such folds of these cases.
    """
    fixed = {record.part for record in store.records}
    content = None if split.file is None else read_split_file(Path(split.file))
    if isinstance(content, dict) or fixed >= {"test", "validation"}:
        return [split_of(split, folds, 0, store)]
    count = folds if content is None else len(content)
    return [split_of(split, count, fold, store) for fold in range(count)]
