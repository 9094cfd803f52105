"""The identity of a run: an id from what changes the science, a name from what the user set."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segbench.config.history import essential
from segbench.errors import UserError
from segbench.system.processes import total_batch

ROOTS = ("data.root", "data.dataset.root")
"""Keys that say where the images are."""

NOT_SCIENCE = (
    "name",
    "code",
    "logger",
    "metrics.streaming",
    "hydra",
    "measured",
    *ROOTS,
    "data.cache",
    "data.workers",
    "augmentation.device",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.checkpoint_every",
    "trainer.log_every",
    "trainer.progress",
    "predictions",
    "budget",
    "stages",  # by the ids of their runs, stage_ids
    "study",
    "trust",
    "search",
)
"""Keys that change where and how a run is executed but not its result."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_NAME_LENGTH = 80
_LEADING_LENGTH = 160
"""Of what differs between runs, and of the data: a file name has 255 bytes at most, and the id follows."""
_DATA = ("data", "data.root", "data.dataset.root", "data.dataset.name")
_FUNCTIONS = re.compile(r"\btag\((\w+,)*|\b(choice|range|interval|shuffle|sort|int|float)\(|\)")
"""Hydra's notation of what a search varies: a name has the values alone."""


def run_id(config: DictConfig) -> str:
    """Twelve hex digits, equal for two configurations exactly when they ask for the same science.

    It outlives moved names and added keys: see `segbench.config.history`.

    Args:
        config: the job's whole configuration; interpolations are resolved first.
    """
    return hashlib.sha256(json.dumps(_science(config), sort_keys=True).encode()).hexdigest()[:12]


def run_name(overrides: Iterable[str], default: str, first: Iterable[str] = ()) -> str:
    """A readable slug of what the user set, safe in a path and in a Hydra override.

    Group choices appear as their option, values as key and value: `model=unet trainer.max_steps=50`
    is `unet-max_steps50`. What does not change the science does not appear, but for the data's folder. Swept values
    are joined by `+`, so that the same function names a sweep. What differs between the runs of a sweep comes first,
    then the data, then the rest as it was typed; a long name is cut in the rest and ends with a digest.

    Args:
        overrides: the task overrides as typed.
        default: the slug where nothing was set.
        first: keys whose values come first: those that a sweep varies.
    """
    order = [*first]
    typed = [(_key(override), _part(override)) for override in overrides]
    named = [(key, part) for key, part in typed if part]
    leading = [part for want in order for key, part in named if key == want]
    of_data = [part for key, part in named if key not in order and key in _DATA]
    rest = [part for key, part in named if key not in order and key not in _DATA]
    whole = len("-".join([*leading, *of_data]))
    return shortened("-".join([*leading, *of_data, *rest]) or default, min(whole, _LEADING_LENGTH))


def shortened(name: str, whole: int = 0) -> str:
    """A name that is safe in a path, of 80 characters at most; a longer one is cut and ends with a digest.

    Args:
        name: any text.
        whole: characters at its begin that are not cut.
    """
    slug = _UNSAFE.sub("_", name)
    if len(slug) <= _NAME_LENGTH:
        return slug
    return f"{slug[: max(_NAME_LENGTH - 9, whole)]}-{hashlib.sha256(slug.encode()).hexdigest()[:8]}"


def default_name(choices: Mapping[str, str]) -> str:
    """The name of a run for which nothing was set: its model and loss."""
    return f"{choices['model']}-{choices['loss']}"


def check_name(name: str, key: str) -> str:
    """The same name, if a file or folder may have it, with an id behind it.

    Raises:
        UserError: where it is empty, leads into another folder, is hidden, or too long for any file system.
    """
    if (length := len(os.fsencode(name))) > _LEADING_LENGTH:
        raise UserError(f"{key}={name[:40]}..: has {length} bytes: a name must have at most {_LEADING_LENGTH}")
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0\n"):
        raise UserError(f"{key}={name!r}: names a folder: it must have no slash and must not begin with a dot")
    return name


def data_mark(roots: Iterable[str]) -> str:
    """The end of a run directory's name that keeps runs on several folders apart; empty without any.

    It follows from the paths as they are written, so that a folder with relative paths in it can be moved, and
    says nothing of what the folders hold: that is recorded and checked, see `segbench.runs.data_check`.

    Args:
        roots: where the data is, as far as the user said so.
    """
    paths = [os.path.normpath(os.path.expanduser(root)) for root in roots]
    return "-" + hashlib.sha256("\0".join(paths).encode()).hexdigest()[:6] if paths else ""


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _part(override: str) -> str:
    key, value = _key(override), override.partition("=")[2]
    if key in ROOTS:
        return "+".join(map(_folder, value.split(",")))
    if key.startswith("hydra") or any(key == skip or key.startswith(f"{skip}.") for skip in NOT_SCIENCE):
        return ""
    value = _UNSAFE.sub("_", _FUNCTIONS.sub("", value).replace(",", "+").strip("[]'\"")).strip("_")
    label = key.rpartition(".")[2]
    is_choice = "." not in key and not re.fullmatch(r"[-+0-9.e]*", value)
    return value if is_choice else f"{_UNSAFE.sub('_', label)}{value}"


def _folder(path: str) -> str:
    """The last two parts of a path as a slug: folders of one name mostly lie in folders that differ."""
    parts = [part for part in Path(path.strip("[]'\"")).parts if part not in ("/", "~", "..", ".")]
    return _UNSAFE.sub("_", "_".join(parts[-2:])).strip("_")


def _science(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration less what does not change the result."""
    plain: dict[str, Any] = {}
    for key in map(str, config):
        if key not in NOT_SCIENCE:
            value = config[key]
            plain[key] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    if plain["data"].get("batch_size") is not None:  # which a planner has still to choose
        plain["data"]["batch_size"] = total_batch(config)  # however it is given and shared out
    plain["data"].pop("batch_size_per", None)
    if plain.get("initial_weights") is not None:  # however the path is written
        plain["initial_weights"] = str(Path(plain["initial_weights"]).expanduser().resolve())
    for path in NOT_SCIENCE:
        *parents, leaf = path.split(".")
        node: Any = plain
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(leaf, None)
    return essential(plain)
