"""The validity of a configuration, as far as it can be checked before anything is built."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

from segbench.config.history import current_name
from segbench.config.identity import check_name
from segbench.config.study import check_study
from segbench.config.task import check_decoder, check_task
from segbench.config.values import check_values
from segbench.config.wording import suggestion
from segbench.errors import UserError, as_line
from segbench.system.processes import batch_on_each_device


def check(config: DictConfig) -> None:
    """Check a run's configuration, as far as that needs neither data nor a network.

    Raises:
        UserError: naming the key that is wrong and what would be right.
    """
    check_composed(config, "train")
    check_decoder(config.decoder, config.task)
    if config.data.batch_size is not None:  # else it is planned when the data is there
        batch_on_each_device(config)


def check_composed(config: DictConfig, command: str) -> None:
    """Check a configuration by itself, whatever the machine.

    Args:
        config: of a command.
        command: its name.

    Raises:
        UserError: naming the key that is wrong and what would be right.
    """
    check_values(config, command)
    if command == "train":
        _check_run(config)
    if command == "evaluate":
        _check_background(config)


def _check_run(config: DictConfig) -> None:
    """Check what values of a run have to do with each other."""
    check_task(config.task)
    for key in ("patch_size", "batch_size"):
        if config.data[key] is None and "plan" not in config:
            raise UserError(f"data.{key}=null: is for models that are planned for their data, such as model=nnunet")
    for key in ("spacing", "normalize"):
        if config.data[key] == "plan" and "plan" not in config:
            raise UserError(f"data.{key}=plan: is for models that are planned for their data, such as model=nnunet")
    check_study(config)
    if config.name is not None:
        check_name(str(config.name), "name")
    if (dataset := OmegaConf.select(config, "data.dataset.name")) is not None:
        check_name(str(dataset), "data.dataset.name")
    _check_background(OmegaConf.select(config, "data.dataset"), "data.dataset.")
    if config.fold >= config.folds and config.split.file is None:
        raise UserError(f"fold={config.fold}: must be between 0 and {config.folds - 1}, as folds={config.folds}")


def _check_background(node: DictConfig, prefix: str = "") -> None:
    """Check that the background of a node with classes is one of them.

    Raises:
        UserError: where it is not.
    """
    classes, background = node.get("classes"), node.get("background")
    if classes is not None and background is not None and background >= len(classes):
        raise UserError(
            f"{prefix}background={background}: must be the index of a class, from 0 to {len(classes) - 1}, or null"
        )


def require(config: DictConfig, key: str) -> Any:
    """A value that must be given.

    Raises:
        UserError: where it is not.
    """
    if OmegaConf.is_missing(config, key) or config[key] is None:
        raise UserError(f"{key} is not set: give it as {key}=..")
    return config[key]


def check_keys(config: DictConfig, reference: DictConfig, added: set[str], where: str) -> None:
    """Check that a file which is merged into the configuration sets known keys only.

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
        raise UserError(f"{where}: {path} is no key of the configuration{suggestion(path, siblings)}")


def check_targets(config: DictConfig) -> None:
    """Check that every `_target_` can be imported and takes the arguments it is given.

    Names that have moved are replaced by those of today.

    Raises:
        UserError: naming the key, and the nearest argument that exists.
    """
    for path, node in _target_nodes(config, ""):
        if OmegaConf.is_missing(node, "_target_"):
            raise UserError(f"{path}._target_ is not set: give the class, such as {path}._target_=package.module.Class")
        node._target_ = current_name(node._target_)
        try:
            function = get_object(node._target_)
        except Exception as error:  # an import runs any code
            raise UserError(f"{path}._target_={node._target_}: {as_line(error)}") from error
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            continue
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
            continue
        known = [f"{path}.{name}" for name in signature.parameters if name != "self"]
        for key in map(str, node):
            if not key.startswith("_") and key not in signature.parameters:
                raise UserError(f"{path}.{key}: {node._target_} takes no {key!r}{suggestion(f'{path}.{key}', known)}")


def _unknown_keys(config: DictConfig, reference: DictConfig, prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Keys that the reference does not have, with the known keys beside them.

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
