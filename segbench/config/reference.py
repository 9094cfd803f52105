"""The reference of all keys: type, range, default and meaning, from the tables of types and the YAML files."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from segbench.config.comments import Commented, read_comments
from segbench.config.composing import pinned, referred_to
from segbench.config.keys import KEYS
from segbench.config.paths import conf_folder
from segbench.config.values import described_nodes
from segbench.config.wording import NODE, as_typed, in_words


@dataclass(frozen=True)
class Key:
    """A key of the configuration.

    Attributes:
        path: dotted.
        kind: its type and range, in words.
        default: its value, as it is typed; of an interpolation the interpolation.
        meaning: the comment behind it, empty where there is none.
    """

    path: str
    kind: str
    default: str
    meaning: str


def describe(command: str, chosen: Sequence[str] = (), among: Container[str] | None = None) -> list[Key]:
    """The keys of a command's configuration with some options, in their order; nodes that have keys are none.

    Args:
        command: its name.
        chosen: options, such as model=segnet.
        among: paths of the keys that are asked for; None: all.
    """
    config = _compose(command, chosen)
    meanings = _meanings(command, config)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("hydra", "stage_ids")])
    with referred_to(config):
        plain: Any = OmegaConf.to_container(own, resolve=True)
        sweep: Any = {key: OmegaConf.to_container(config.hydra[key], resolve=True) for key in ("launcher", "sweeper")}
    nodes = [*described_nodes(plain, command)]
    for name, node in sweep.items():
        nodes += described_nodes(node, name, f"hydra.{name}.")
    found = []
    for path, where, node in nodes:
        for key, value in node.items():
            full = f"{path}{key}"
            if key not in KEYS[where] or (among is not None and full not in among):
                continue
            kind, default = _words(where, key), _written(config, full, value)
            if default is not None and not (isinstance(value, dict) and value and kind.startswith(NODE)):
                found.append(Key(full, kind, default, meanings.get(full, "")))
    return found


def own_keys(group: str, option: str) -> list[Key]:
    """The keys that the file of an option sets itself, with their types."""
    content = read_comments(conf_folder() / group / f"{option}.yaml")
    prefix = _prefix(group, content)
    return describe("train", [f"{group}={option}"], {f"{prefix}{path}" for path in content.meanings})


def having(key: str) -> list[str]:
    """The options of the group of a key, such as model=segnet, whose files have it."""
    group, _, rest = key.partition(".")
    files = sorted((conf_folder() / group).glob("*.yaml"))
    return [
        f"{group}={path.stem}"
        for path in files
        if any(rest in read_comments(file).meanings for file, _ in _chain(path, ""))
    ]


def options(group: str) -> dict[str, str]:
    """The options of a group, such as hydra/launcher, and what the file of each says at its top."""
    return {path.stem: read_comments(path).header for path in sorted((conf_folder() / group).glob("*.yaml"))}


@cache
def groups() -> tuple[str, ...]:
    """The groups of options, in the order of conf/train.yaml; those of sweeps come last."""
    folder = conf_folder()
    entries: Any = OmegaConf.to_container(OmegaConf.load(folder / "train.yaml"))
    named = [str(next(iter(entry))) for entry in entries["defaults"] if isinstance(entry, dict)]
    of_runs = [group for group in named if group != "hydra" and (folder / group).is_dir()]
    return (*of_runs, "hydra/launcher", "hydra/sweeper")


@cache
def _words(where: str, key: str) -> str:
    return in_words(KEYS[where][key])


def _prefix(group: str, content: Commented) -> str:
    package = group.replace("/", ".") if content.package is None else content.package
    return f"{package}." if package else ""


def _compose(command: str, chosen: Sequence[str]) -> DictConfig:
    config: DictConfig = _loader().load_configuration(command, [*chosen, "hydra.run.dir=run"], RunMode.RUN)
    return config


@cache
def _loader() -> Any:
    """A loader that reads each file once."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return pinned(HydraContext(GlobalHydra.instance().config_loader(), Callbacks())).config_loader


def _written(config: DictConfig, path: str, value: Any) -> str | None:
    """The value of a key as it stands in its file; None where an interpolation above it refers to other keys."""
    node: Any = config
    *parents, leaf = path.split(".")
    for key in parents:
        node = None if "[" in key else node._get_node(key)
        if node is None or node._is_interpolation():
            return None
    node = node._get_node(leaf)
    return str(node._value()) if node._is_interpolation() or node._is_missing() else as_typed(value)


def _meanings(command: str, config: DictConfig) -> dict[str, str]:
    """Dotted key -> comment, of the command's file and the files of the options that are chosen."""
    found: dict[str, str] = {}
    files = [(conf_folder() / f"{command}.yaml", "")]
    for group, option in config.hydra.runtime.choices.items():
        names: Any = OmegaConf.to_container(option) if OmegaConf.is_config(option) else [option]
        files += [(conf_folder() / group / f"{name}.yaml", group.replace("/", ".")) for name in names or () if name]
    for path, prefix in files:
        _add_meanings(found, path, prefix)
    return {key: meaning or _meaning_elsewhere(key) for key, meaning in found.items()}


def _add_meanings(found: dict[str, str], path: Path, prefix: str) -> None:
    """Add the comments of a file and of all that it is made from; the first comment behind a key counts."""
    for file, place in _chain(path, prefix):
        for key, meaning in read_comments(file).meanings.items():
            full = f"{place}.{key}" if place else key
            found[full] = found.get(full) or meaning


def _meaning_elsewhere(key: str) -> str:
    """The comment behind the same key in the file of another option of its group."""
    group = next((group for group in groups() if key.startswith(f"{group.replace('/', '.')}.")), None)
    return "" if group is None else _meanings_of_group(group).get(key, "")


@cache
def _meanings_of_group(group: str) -> Mapping[str, str]:
    """Dotted key -> the first comment behind it in the files of a group."""
    found: dict[str, str] = {}
    for path in sorted((conf_folder() / group).glob("*.yaml")):
        _add_meanings(found, path, group.replace("/", "."))
    return found


def _chain(path: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    """A file and all that it is made from, the nearest first, and where the keys of each belong."""
    if not path.is_file():
        return
    content = read_comments(path)
    here = prefix if content.package is None else content.package
    yield path, here
    for name, package in content.parents.items():
        folder = conf_folder() if name.startswith("/") else path.parent
        yield from _chain(folder / f"{name.removeprefix('/')}.yaml", ".".join(filter(None, (here, package))))
