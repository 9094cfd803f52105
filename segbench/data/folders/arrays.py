"""Extra arrays of a folder of images: files beside each image and its mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.arrays import ArraySpec, check_names
from segbench.data.formats import as_image, count_channels
from segbench.data.formats.reader import Decoded
from segbench.errors import UserError


@dataclass(frozen=True)
class FolderArray:
    """The place and the meaning of an extra array.

    Attributes:
        folder: its folder, beside that of the images.
        suffix: the end of its files' names before the extension.
        pattern: a regular expression for them, as `mask_pattern` is for masks.
        labels: whether it is a label map, whose values mean what those of the masks mean; else its values are
            quantities, taken as they are.
    """

    folder: str
    suffix: str = ""
    labels: bool = False
    pattern: str | None = None

    def spec(self, first: Path, classes: int) -> ArraySpec:
        """The form of the array.

        Args:
            first: one of its files.
            classes: of the data set.
        """
        if self.labels:
            return ArraySpec(classes=classes)
        channels = count_channels(first)
        return ArraySpec(channels=None if channels == 1 else channels)


def folder_arrays(arrays: Mapping[str, str | Mapping[str, Any]] | None) -> dict[str, FolderArray]:
    """Read the arrays of a configuration.

    Args:
        arrays: the folder of each by name, or its values as `FolderArray` has them; None: there are none.

    Raises:
        UserError: where they are something else.
    """
    check_names(arrays or {}, "data.dataset.arrays")
    try:
        return {
            name: FolderArray(value) if isinstance(value, str) else FolderArray(**value)
            for name, value in (arrays or {}).items()
        }
    except TypeError as error:
        raise UserError(
            "data.dataset.arrays: each must be a folder, such as weights: weights, or have the keys folder,"
            f" suffix, pattern and labels: {error}"
        ) from error


def file_kind(array: str) -> str:
    """The name of an extra array's files in messages."""
    return f"array {array}"


def quantities(decoded: Decoded, path: Path) -> np.ndarray:
    """The values of a file: (*S), or (C, *S) where there are several channels."""
    values = as_image(decoded, path)
    return values[0] if len(values) == 1 else values
