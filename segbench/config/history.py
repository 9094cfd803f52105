"""The history of the configuration: names that have moved, and keys that came later.

A configuration that was recorded once is read for as long as there are runs. So whoever moves a class or adds a key
writes it down here, and nowhere else: the id of a recorded run stays what it was, its network is built from today's
classes, and a comparison does not take a moved name for a difference between methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

BEFORE_IDS: Mapping[str, str] = {
    "segbench.assembly": "segbench.training.assembly",
    "segbench.data.places": "segbench.data.placement",
    "segbench.logfile": "segbench.system.logfile",
    "segbench.models.flooding": "segbench.models.region_growing",
    "segbench.module": "segbench.training.module",
    "segbench.objective": "segbench.training.objective",
    "segbench.optimizers": "segbench.training.optimizers",
    "segbench.schedulers": "segbench.training.schedulers",
}
"""Former name of a module, class or function, and the name that it had when ids became public (0.2.0)."""

MOVED: Mapping[str, str] = {
    "segbench.data.albumentations_engine": "segbench.data.augmentations.albumentations_engine",
    "segbench.data.augmentation": "segbench.data.augmentations.pipeline",
    "segbench.data.colour": "segbench.data.augmentations.colour",
    "segbench.data.elastic": "segbench.data.augmentations.elastic",
    "segbench.data.spatial": "segbench.data.augmentations.spatial",
    "segbench.losses.values": "segbench.losses.regression",
}
"""Name that a module, class or function had when ids became public, or when it came, and its name now.

Ids are over the former names, so that they stay. Of several names that fit, the longest counts.
"""

ADDED: Mapping[str, Any] = {
    "code": "refuse",
    "data.crop": False,
    "data.input_arrays": [],
    "data.neighbours": 0,
    "data.regions": None,
    "data.slices": None,
    "data.spacing": None,
    "data.thick_slices": 3.0,
    "measured.case_dims": None,
    "measured.foreground": None,
    "measured.normalize": None,
    "measured.plan": {
        "patch_size": None,
        "batch_size": None,
        "spacing": None,
        "features": None,
        "strides": None,
        "kernels": None,
        "convs": None,
        "decoder_convs": None,
    },
    "measured.region_count": 0,
    "measured.regions": {},
    "measured.slice_axis": None,
    "metrics.choose_by": "dice",
    "metrics.direction": {},
    "metrics.probabilities": {},
    "metrics.references": [],
    "metrics.streaming": None,
    "split.method": "stratified",
    "stage_ids": None,
    "stages": None,
    "task.scores": ["classes"],
    "trainer.sync_batchnorm": False,
}
"""Dotted keys that came after the first version, and the value that stands for what held before them."""

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "segbench.data.augmentations.pipeline.Augmentation": {"device": None},
    "segbench.data.augmentations.pipeline.Contrast": {"keep_range": False},
    "segbench.data.augmentations.pipeline.Gamma": {"channels_apart": False},
    "segbench.data.augmentations.pipeline.LowResolution": {"flat_patch": None},
    "segbench.data.augmentations.spatial.Spatial": {"flat_patch": None},
    "segbench.data.datasets.folder.Folder": {
        "spacing_file": None,
        "orientation": None,
        "block_size": None,
        "arrays": None,
        "field_of_view": None,
    },
    "segbench.models.external.External": {
        "input_channels": None,
        "divisible_by": 1,
        "upsample": None,
        "returns": "logits",
    },
    "segbench.models.monai.MonaiModel": {"divisible_by": None},
    "segbench.models.smp.SmpModel": {"share": "all"},
    "segbench.models.unet.UNet": {"dropout_between": 0.0, "one_logit": False, "share": "all"},
    "segbench.training.objective.Part": {"per_image": False, "former": None, "normalize": False},
}
"""Arguments that a class came to have later, and their defaults in Python, which stand for what held before.

Those that ids of 0.2.0 are over, such as `parts` of Folder, are none, although the first version has not had them.
"""


def current_name(name: str) -> str:
    """The name that a module, class or function has now.

    Args:
        name: dotted, such as the `_target_` of a node; of any package.
    """
    return _moved(_moved(name, BEFORE_IDS), MOVED)


def first_name(name: str) -> str:
    """The name that a module, class or function had when ids became public, or when it came.

    Args:
        name: dotted, of any version.
    """
    return _moved(current_name(name), {now: before for before, now in reversed(list(MOVED.items()))})


def _moved(name: str, table: Mapping[str, str]) -> str:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        moved = table.get(".".join(parts[:length]))
        if moved is not None:
            return ".".join([moved, *parts[length:]])
    return name


def renamed(node: Any, name_of: Callable[[str], str] = current_name) -> Any:
    """The same plain values with other names of classes and functions.

    Args:
        node: a configuration or a part of one, as dicts and lists.
        name_of: from a name of any version to the name that is wanted; default: the name of today.
    """
    if isinstance(node, Mapping):
        names = ("_target_", "path") if str(node.get("_target_", "")).startswith("hydra.utils.") else ("_target_",)
        return {
            key: name_of(value) if key in names and isinstance(value, str) else renamed(value, name_of)
            for key, value in node.items()
        }
    return [renamed(child, name_of) for child in node] if isinstance(node, list) else node


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration as today's code reads it: names as they are now, keys that came later set.

    A key is set only below a node that is there.
    """
    whole: dict[str, Any] = renamed(config)
    for key, default in ADDED.items():
        node, leaf = _parent(whole, key)
        if node is not None:
            node.setdefault(leaf, default)
    return whole


def essential(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it was written when ids became public: first names, no later keys at their default."""
    reduced: dict[str, Any] = _without_later_arguments(renamed(config, first_name))
    for key, default in ADDED.items():
        node, leaf = _parent(reduced, key)
        if node is not None and leaf in node and node[leaf] == default:
            del node[leaf]
    return reduced


def _without_later_arguments(node: Any) -> Any:
    """The same plain values without the arguments that came later and are at their default."""
    if isinstance(node, Mapping):
        later = ARGUMENTS.get(current_name(str(node.get("_target_"))), {})
        return {
            key: _without_later_arguments(value)
            for key, value in node.items()
            if key not in later or value != later[key]
        }
    return [_without_later_arguments(child) for child in node] if isinstance(node, list) else node


def _parent(config: dict[str, Any], key: str) -> tuple[dict[str, Any] | None, str]:
    """The node that a dotted key belongs to, None where it is not there, and the last part of the key."""
    *parents, leaf = key.split(".")
    node: Any = config
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    return (node if isinstance(node, dict) else None), leaf
