"""The check, before anything is decoded, that a task which needs objects has a data set with objects."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterable
from importlib import import_module

from hydra.utils import get_object
from omegaconf import DictConfig

from segbench.data import datasets
from segbench.data.case import Dataset
from segbench.errors import UserError


def check_objects(task: DictConfig, dataset: Dataset) -> None:
    """Check that the data set has instances if a target or the weight is made from them.

    A class whose calls need them says so by an attribute `needs_instances`.

    Raises:
        UserError: naming the key, and the data sets that have instances.
    """
    if dataset.has_instances:
        return
    nodes = {f"task.targets.{head}": node for head, node in task.targets.items()} | {"task.weight": task.weight}
    for key, node in nodes.items():
        target = None if node is None else node.get("_target_")
        if target is not None and getattr(get_object(target), "needs_instances", False):
            raise UserError(
                f"{key} needs objects, and {dataset.name} has none; data sets that have them are"
                f" {', '.join(names_with_objects())}, and data=folder with data.dataset.masks_are=instances"
                " or data.dataset.instances=FOLDER"
            )


def names_with_objects() -> list[str]:
    """Names of the data sets that always have instances."""
    always = [dataset for dataset in _classes() if dataset.has_instances]
    return sorted(getattr(dataset, "name", dataset.__module__.rpartition(".")[2]) for dataset in always)


def _classes() -> Iterable[type[Dataset]]:
    for module in pkgutil.iter_modules(datasets.__path__, f"{datasets.__name__}."):
        for _, dataset in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(dataset, Dataset) and dataset.__module__ == module.name:
                yield dataset
