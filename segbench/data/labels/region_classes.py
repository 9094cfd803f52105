"""Regions: named unions of classes, which may overlap, such as a whole tumour and its core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from segbench.data.case import IGNORE
from segbench.errors import UserError

RegionClasses = Mapping[str, Sequence[int]]
"""The classes that each region is the union of."""


def region_classes(regions: Mapping[str, Sequence[str | int]] | None, classes: Sequence[str]) -> dict[str, list[int]]:
    """Read the regions of a configuration.

    Args:
        regions: names or indices of the classes of each region; None: there are none.
        classes: the names of all classes.

    Returns:
        The indices of each region's classes, in rising order.

    Raises:
        UserError: where a region has no classes, or names a class that does not exist.
    """
    known = {name: index for index, name in enumerate(classes)}
    found = {}
    for region, members in (regions or {}).items():
        members = [members] if isinstance(members, str | int) else list(members or ())
        indices = {known.get(member, member) if isinstance(member, str) else member for member in members}
        for index in indices:
            if not isinstance(index, int) or not 0 <= index < len(classes):
                raise UserError(
                    f"data.regions.{region}: there is no class {index!r}; classes are"
                    f" {', '.join(f'{i} {name}' for i, name in enumerate(classes))}"
                )
        if not indices:
            raise UserError(f"data.regions.{region}: has no classes; give their names, such as [{classes[-1]}]")
        found[str(region)] = sorted(int(index) for index in indices)
    return found


def region_masks(label: np.ndarray, regions: RegionClasses) -> np.ndarray:
    """The pixels of each region in a label map: (R, *S) bool; ignored pixels are in none.

    Args:
        label: (*S) class indices.
        regions: their classes.
    """
    table = np.zeros((len(regions), IGNORE + 1), bool)
    for row, members in zip(table, regions.values(), strict=True):
        row[list(members)] = True
    return table[:, label]


def default_order(regions: RegionClasses) -> list[int]:
    """The class that each region becomes in a label map, when later regions overwrite earlier ones.

    It is the class of the region that no later region has, so that a label map of nested regions gives its
    regions back; the lowest, where there are several, and of all its classes, where there is none.
    """
    order = []
    members = list(regions.values())
    for number, own in enumerate(members):
        later = {index for others in members[number + 1 :] for index in others}
        order.append(min(set(own) - later or own))
    return order
