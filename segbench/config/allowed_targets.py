"""The names that a run of somebody else's may have built: a `_target_` is a call of any function there is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hydra.utils import get_object

from segbench.config.history import current_name
from segbench.errors import UserError, as_line

CHOICES = (
    "segbench.data",
    "segbench.decoders",
    "segbench.inference",
    "segbench.loggers",
    "segbench.losses",
    "segbench.metrics",
    "segbench.models",
    "segbench.planning",
    "segbench.system.logfile",
    "segbench.training.loss_weights",
    "segbench.training.objective",
    "segbench.training.optimizers",
    "segbench.training.schedulers",
    "torch.nn",
    "torch.optim",
)
"""Packages whose classes and functions a configuration chooses from."""

LIBRARIES = (
    "albumentations",
    "lightning.pytorch.callbacks",
    "monai",
    "segmentation_models_pytorch",
    "timm",
    "torchmetrics",
    "torchvision.models",
)
"""Packages of which classes alone are taken: among their functions are some that read and write files."""

FUNCTIONS = ("timm.models", "torchvision.models")
"""Modules of those packages whose functions build networks."""

NOT_TAKEN = (
    "albumentations.core.serialization",
    "monai.bundle",
    "monai.apps",
    "segbench.data.formats",
    "segbench.data.store",
)
"""Parts of these packages that read, write or execute what an argument names."""

REFERENCES = (
    "hydra.utils.get_class",
    "hydra.utils.get_method",
    "hydra.utils.get_object",
    "hydra.utils.get_static_method",
)
"""Functions of Hydra that return what their argument `path` names."""


def check_trust(config: Mapping[str, Any], trusted: Iterable[str], where: str) -> None:
    """Check that a recorded configuration names nothing but what a run is made of.

    Args:
        config: as plain values.
        trusted: further packages or modules, which the user knows.
        where: the run, for messages.

    Raises:
        UserError: naming the first key that asks for something else.
    """
    trusted = tuple(trusted)
    for key, name in _named(config, ""):
        if not is_trusted(name, trusted):
            package = name.partition(".")[0]
            raise UserError(
                f"{where}: {key}={name} is not executed: it is no part of segbench or of the libraries that it uses;"
                f" where you know this code and whoever made the run, say trust=[{package}]"
            )


def is_trusted(name: str, trusted: Iterable[str] = ()) -> bool:
    """Return whether a class or function belongs to what a run may be made of.

    It must be defined there, and not merely be reached from there: `torch.nn.torch.load` is a function of `torch`.

    Args:
        name: dotted.
        trusted: further packages or modules.

    Raises:
        UserError: where there is no such class or function in a trusted package.
    """
    name = current_name(name)
    if any(_inside(name, package) for package in trusted):
        return True
    if not any(_inside(name, package) for package in (*CHOICES, *LIBRARIES)):
        return False  # not even imported
    try:
        found = get_object(name)
    except Exception as error:  # an import runs any code
        raise UserError(f"{name}: {as_line(error)}") from error
    home = str(getattr(found, "__module__", ""))
    if any(_inside(home, part) for part in NOT_TAKEN):
        return False
    if inspect.isclass(found):
        return any(_inside(home, package) for package in (*CHOICES, *LIBRARIES))
    return inspect.isroutine(found) and any(_inside(home, package) for package in (*CHOICES, *FUNCTIONS))


def _named(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every key below a node whose value is called, or returned to be called, and that value."""
    if isinstance(node, Mapping):
        target = node.get("_target_")
        if target not in (None, "???"):
            if str(target) in REFERENCES:
                yield f"{path}.path", str(node.get("path"))
            else:
                yield f"{path}._target_", str(target)
        for key, value in node.items():
            yield from _named(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _named(value, f"{path}[{index}]")


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
