"""Types and ranges of keys: every key of conf/ has them, every option obeys them, and what does not is one line."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from segbench.commands.execution import COMMANDS
from segbench.commands.resolvers import register_resolvers
from segbench.config.composing import pinned, referred_to
from segbench.config.keys import KEYS
from segbench.config.paths import conf_folder
from segbench.config.schema import check_composed
from segbench.config.values import check_values, described_nodes

FREE = ("study",)
"""Nodes in which a study has values of its own, which its other keys refer to."""
OURS = ("segbench.", "hydra_plugins.")
GROUPS = sorted(path.name for path in conf_folder().iterdir() if path.is_dir() and path.name not in ("hydra", "local"))
OPTIONS = [
    f"{group}={file.stem}"
    for group in GROUPS
    for file in sorted((conf_folder() / group).glob("*.yaml"))
    if file.stem not in ("albumentations_file",)  # which needs a file
]
OF_SWEEPS = [
    f"hydra/{group}={file.stem}"
    for group in ("launcher", "sweeper")
    for file in sorted((conf_folder() / "hydra" / group).glob("*.yaml"))
]


@cache
def composed(command: str, option: str | None = None) -> Any:
    """The configuration of a command with one option, its files read once."""
    register_resolvers()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        loader = _loader()
        chosen = [] if option is None else [option]
        config = loader.load_configuration(command, [*chosen, "hydra.run.dir=run"], RunMode.RUN)
    return config


@cache
def _loader() -> Any:
    return pinned(HydraContext(GlobalHydra.instance().config_loader(), Callbacks())).config_loader


def undescribed(node: dict[str, Any], where: str, prefix: str = "") -> Iterator[str]:
    """Keys without a type: of a node that has a table, and of our own classes that have none."""
    tables = {path: (table, values) for path, table, values in described_nodes(node, where, prefix)}
    for path, (table, values) in tables.items():
        yield from (f"{path}{key} ({table})" for key in values if key not in KEYS[table] and table not in FREE)
    yield from _classes_without_table(node, prefix, set(tables))


def _classes_without_table(node: Any, path: str, known: set[str]) -> Iterator[str]:
    if isinstance(node, list):
        for index, child in enumerate(node):
            yield from _classes_without_table(child, f"{path.removesuffix('.')}[{index}].", known)
    if not isinstance(node, dict):
        return
    arguments = [key for key in node if not key.startswith("_")]
    if str(node.get("_target_")).startswith(OURS) and arguments and path not in known:
        yield f"{path}* ({node['_target_']})"
    for key, child in node.items():
        yield from _classes_without_table(child, f"{path}{key}.", known)


def plain(config: Any) -> dict[str, Any]:
    with referred_to(config):
        return {
            str(key): OmegaConf.to_container(config[key], resolve=True) if OmegaConf.is_config(config[key]) else None
            for key in config
            if key != "hydra" and not OmegaConf.is_missing(config, key)
        }


@pytest.mark.parametrize("option", OPTIONS)
def test_every_key_of_an_option_has_a_type_and_every_value_is_of_it(option: str) -> None:
    config = composed("train", option)
    with referred_to(config):
        check_composed(config, "train")
    assert list(undescribed(plain(config), "train")) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_of_a_command_has_a_type_and_every_value_is_of_it(command: str) -> None:
    config = composed(command)
    with referred_to(config):
        check_composed(config, command)
    assert list(undescribed(dict.fromkeys(map(str, config)) | plain(config) | {"hydra": None}, command)) in (
        [],
        [f"hydra ({command})"],
    )


@pytest.mark.parametrize("option", OF_SWEEPS)
def test_every_key_of_what_executes_a_sweep_has_a_type(option: str) -> None:
    config = composed("train", option)
    name = option.partition("=")[0].replace("/", ".")
    node = OmegaConf.select(config, name)
    with referred_to(config):
        check_values(node, name, f"{name}.")
        assert list(undescribed(OmegaConf.to_container(node, resolve=True), name, f"{name}.")) == []


@pytest.mark.parametrize("command", ["evaluate", "prepare"])
def test_commands_take_parts_of_a_run_which_refer_to_the_rest_of_it(command: str) -> None:
    groups = [key for key in composed(command) if key in GROUPS]
    for option in OPTIONS:
        if option.partition("=")[0] in groups:
            check_composed(composed(command, option), command)
