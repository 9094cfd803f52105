"""Doubts about the objects of a data set: masks that number none, and objects between which there is no gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import generate_binary_structure
from scipy.ndimage import label as connected_components

from segbench.data.store import CaseStore

LOOKED_AT = 50
"""Cases, evenly spread, that are opened."""


def unnumbered_objects(store: CaseStore, cases: Sequence[str]) -> str | None:
    """The remark that masks of instances number no objects, None where there is no reason for it.

    There is, where no case has more than one object, and one consists of several regions that do not touch.

    Args:
        store: of the data set.
        cases: which are looked at.
    """
    counts = [store.meta(case).objects for case in cases]
    if not counts or any(count is None or count > 1 for count in counts):
        return None
    several = [case for case in some(cases) if _regions(store[case].instances) > 1]
    if not several:
        return None
    return (
        f"every case has one object at most, and in {_few(several)} it has several parts that do not touch: these masks"
        " seem to number no objects; data.dataset.masks_are=classes where each part is to be an object"
    )


def touching_objects(store: CaseStore, cases: Sequence[str]) -> list[str]:
    """The cases in which objects touch without a pixel of background between them, of those looked at."""
    return [case for case in some(cases) if _touch(store[case].instances)]


def some(cases: Sequence[str]) -> list[str]:
    """A few of the cases, evenly spread."""
    return [cases[k] for k in np.unique(np.linspace(0, len(cases) - 1, min(LOOKED_AT, len(cases))).astype(int))]


def _regions(instances: np.ndarray | None) -> int:
    """The number of regions that share not even a corner."""
    if instances is None:
        return 0
    instances = np.asarray(instances)  # of a volume, whose chunks are on the disk
    structure = generate_binary_structure(instances.ndim, instances.ndim)
    return int(connected_components(instances > 0, structure)[1])


def _touch(instances: np.ndarray | None) -> bool:
    """True if two objects have pixels that share a face."""
    if instances is None:
        return False
    instances = np.asarray(instances)
    for axis in range(instances.ndim):
        here = np.moveaxis(instances, axis, 0)
        if np.any((here[1:] != here[:-1]) & (here[1:] > 0) & (here[:-1] > 0)):
            return True
    return False


def _few(cases: Sequence[str], most: int = 3) -> str:
    return ", ".join(cases[:most]) + (f" and {len(cases) - most} more" if len(cases) > most else "")
