"""A data set as a configuration names it, opened."""

from __future__ import annotations

from omegaconf import DictConfig

from segbench.config.identity import check_name
from segbench.config.instantiation import build
from segbench.config.plain import as_plain
from segbench.data.case import Dataset, check_classes
from segbench.data.store import CaseStore
from segbench.data.store_cache import opened


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
