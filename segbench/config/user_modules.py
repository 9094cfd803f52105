"""Modules of the user's own: the modules that a configuration names, and the modules that these import."""

from __future__ import annotations

import ast
import importlib.util
import os
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

OURS = ("segbench", "conf", "hydra_plugins")
"""The names that segbench itself brings into a snapshot; no module of a user's own has such a name there."""

PINNED = "pinned.json"
"""The file beside a sweep's snapshots that names the last of them. No code of the user's lies there."""

_INSTALLED = {"site-packages", "dist-packages"}


def named_modules(config: DictConfig) -> frozenset[str]:
    """The first parts of every `_target_` that names a module of the user's own, such as `my_networks`."""
    names = {target.partition(".")[0] for target in _targets(config)}
    return frozenset(name for name in names if _origin(name) is not None)


def module_files(modules: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """The files of these modules, and of the user's modules that they import, however deep.

    What is imported is found in the text: nothing is executed.

    Returns:
        Names below a folder to import from, such as `my_package/networks.py`, and where the files are.
    """
    left, seen = list(modules), set(modules)
    while left:
        module = left.pop()
        origin = _origin(module)
        if origin is None:
            continue
        for inside, path in sorted(_inside(origin)):
            # Under the name that it is imported by, which that of its folder need not be.
            yield Path(module) / inside if inside.parts else Path(f"{module}{path.suffix}"), path
            found = _imported(path) - seen
            seen |= found
            left += found


def _targets(node: Any) -> Iterator[str]:
    """Every `_target_` as written. Read without resolving anything, since a sweep has a thousand configurations."""
    if isinstance(node, DictConfig | ListConfig):
        content = node._content
        if isinstance(content, dict):
            target = content.get("_target_")
            if target is not None and not OmegaConf.is_missing(node, "_target_"):
                yield str(target)
            yield from (found for child in content.values() for found in _targets(child))
        elif isinstance(content, list):
            yield from (found for child in content for found in _targets(child))


@cache
def _origin(module: str) -> Path | None:
    """The file or the folder of a module of the user's own; None for what is installed, built in, or not there."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # a name such as "${", or one without a place
        return None
    if spec is None or module in OURS:
        return None
    if spec.submodule_search_locations:
        origin = Path(next(iter(spec.submodule_search_locations))).absolute()
    elif spec.has_location and spec.origin is not None:
        origin = Path(spec.origin).absolute()
    else:
        return None
    library = any(origin.is_relative_to(folder) for folder in _library_folders())
    return None if library or _INSTALLED & set(origin.parts) else origin


@cache
def _library_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _inside(origin: Path) -> Iterator[tuple[Path, Path]]:
    """A file itself; of a package all that it holds, since code may read what lies beside it; of a folder its code."""
    if origin.is_file():
        yield Path(), origin
        return
    package, been = (origin / "__init__.py").exists(), set()
    for place, folders, files in os.walk(origin, followlinks=True):
        real = os.path.realpath(place)
        if real in been or PINNED in files:  # a link to a folder above; snapshots of a sweep
            folders.clear()
            continue
        been.add(real)
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and (package or name.endswith(".py")):
                path = Path(place, name)
                yield path.relative_to(origin), path


def _imported(path: Path) -> set[str]:
    """The first parts of what a file imports; nothing where it is no Python that can be read."""
    if path.suffix != ".py":
        return set()
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found
