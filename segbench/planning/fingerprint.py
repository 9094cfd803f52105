"""The fingerprint of a data set: the facts that a plan follows from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segbench.errors import UserError, as_line

DEPTH = 999.0
"""Spacing that stands for the missing axis of 2D images: larger than any other, so that it comes first."""


@dataclass(frozen=True)
class Fingerprint:
    """The facts of a data set, as files and functions call them.

    Attributes:
        name: of the data set.
        modality: of all channels, or one for each: CT, or any other word.
        channels: of an image.
        classes: with the background.
        cases: for training.
        relative_size_after_cropping: median share of the voxels that is left when zeros around the image are cut off.
        spacings: size of a voxel of each case along each axis, in mm.
        shapes: voxels of each case along each axis, after cropping.
    """

    name: str
    modality: str | tuple[str, ...]
    channels: int
    classes: int
    cases: int
    relative_size_after_cropping: float
    spacings: tuple[tuple[float, ...], ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def dims(self) -> int:
        """Axes of the images: 2 or 3."""
        return len(self.spacings[0])

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality of each channel."""
        return (self.modality,) * self.channels if isinstance(self.modality, str) else self.modality

    @property
    def as_volumes(self) -> Fingerprint:
        """The same for three axes: 2D images are volumes of one slice."""
        if self.dims == 3:
            return self
        facts = asdict(self) | {
            "spacings": tuple((DEPTH, *spacing) for spacing in self.spacings),
            "shapes": tuple((1, *shape) for shape in self.shapes),
        }
        return Fingerprint(**facts)

    def as_json(self) -> dict[str, Any]:
        """The values of its file."""
        return asdict(self)


def read_fingerprint(path: Path, key: str = "fingerprint") -> Fingerprint:
    """Read a fingerprint from a JSON file.

    Raises:
        UserError: where the file cannot be read or is none.
    """
    try:
        content = json.loads(path.expanduser().read_text())
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or as_line(error)
        raise UserError(f"{key}={path}: cannot be read as JSON: {said}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{key}={path}: must hold one fingerprint, {{name: .., spacings: .., shapes: .., ..}}")
    return fingerprint_of(content, f"{key}={path}")


def fingerprint_of(content: Mapping[str, Any], where: str) -> Fingerprint:
    """The fingerprint that plain values describe; keys beside its own are left aside.

    Raises:
        UserError: naming the key that lacks or has an impossible value.
    """
    lacking = [name for name in Fingerprint.__dataclass_fields__ if name not in content and name != "cases"]
    if lacking:
        known = ", ".join(Fingerprint.__dataclass_fields__)
        raise UserError(f"{where}: has no {lacking[0]!r}; a fingerprint has {known}")
    spacings, shapes = _rows(content["spacings"], f"{where}: spacings"), _rows(content["shapes"], f"{where}: shapes")
    lengths = {len(row) for row in (*spacings, *shapes)}
    if len(spacings) != len(shapes) or lengths not in ({2}, {3}):
        raise UserError(
            f"{where}: spacings and shapes must have a row for each case, with 2 or 3 numbers in all of them; there are"
            f" {len(spacings)} and {len(shapes)} rows of {', '.join(map(str, sorted(lengths)))} numbers"
        )
    modality = content["modality"]
    found = Fingerprint(
        name=str(content["name"]),
        modality=modality if isinstance(modality, str) else tuple(map(str, modality)),
        channels=_integer(content["channels"], 1, f"{where}: channels"),
        classes=_integer(content["classes"], 2, f"{where}: classes"),
        cases=_integer(content.get("cases", len(shapes)), 1, f"{where}: cases"),
        relative_size_after_cropping=_share(content["relative_size_after_cropping"], where),
        spacings=spacings,
        shapes=tuple(tuple(_integer(size, 1, f"{where}: shapes") for size in shape) for shape in shapes),
    )
    if len(found.modalities) != found.channels:
        raise UserError(f"{where}: modality names {len(found.modalities)} channels, channels={found.channels}")
    return found


def _rows(value: Any, where: str) -> tuple[tuple[float, ...], ...]:
    """Rows of numbers above 0."""
    try:
        rows = tuple(tuple(map(float, row)) for row in value)
    except (TypeError, ValueError):
        rows = ()
    if not rows or any(not 0 < number < float("inf") for row in rows for number in row):
        raise UserError(f"{where} must be rows of numbers above 0, one row for each case")
    return rows


def _integer(value: Any, least: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < least:
        raise UserError(f"{where}={value}: must be an integer of at least {least}")
    return int(value)


def _share(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise UserError(f"{where}: relative_size_after_cropping={value}: must be above 0 and at most 1")
    return float(value)
