"""Volumes in files: one or several for the channels of an image, and one for its label."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.case import Case, Dataset, Record, shape_text
from segbench.data.formats import as_image, as_mask, count_channels, decode
from segbench.data.formats.reader import Decoded
from segbench.data.formats.space import check_same_space, directions
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError


class Volumes(Dataset):
    """A data set, mostly of volumes, whose cases are decoded from the files of a record: all channels, then the label.

    A subclass says which cases there are, and sets `name` and `classes`. A file may have several channels, too.

    Args:
        root: the folder.
        check_space: refuse an image and a label whose spacing, direction or origin differ.
    """

    spatial_dims: int = 3

    def __init__(self, root: Path, check_space: bool) -> None:
        self.root = root
        self.check_space = check_space

    @property
    @abstractmethod
    def mapping(self) -> LabelMapping:
        """The meaning of the labels' values."""

    @abstractmethod
    def records(self) -> list[Record]:
        """All cases."""

    @cached_property
    def channels(self) -> int:  # type: ignore[override]
        """The channels of the first case."""
        return sum(count_channels(path) for path in self.records()[0].files[:-1])

    def load(self, record: Record) -> Case:
        """Read the channels of a case and its label."""
        *image_files, label_file = record.files
        image, first = read_channels(image_files, self.check_space, self.spatial_dims)
        mask = decode(label_file)
        _check_axes(mask.array[:1], label_file, self.spatial_dims)
        if self.check_space or mask.array.shape[1:] != image.shape[1:]:
            check_same_space(first, image_files[0], mask, label_file)
        label = self.mapping.apply(as_mask(mask, label_file), label_file)
        spacing = first.spacing or (1.0,) * self.spatial_dims
        return Case(record.id, image, label, spacing, record.group, directions=directions(first))

    def settings(self) -> dict[str, object]:
        """The meaning of the labels' values."""
        return {"mapping": [self.mapping.classes, self.mapping.ignore], "check_space": self.check_space}


def read_channels(files: Sequence[Path], check_space: bool = True, dims: int = 3) -> tuple[np.ndarray, Decoded]:
    """The image (C, *S) of some files, and the first one as decoded.

    Raises:
        UserError: where one cannot be read, has other than `dims` axes, or does not lie on the first one.
    """
    decoded = [decode(path) for path in files]
    for path, file in zip(files, decoded, strict=True):
        _check_axes(file.array, path, dims)
        if check_space or file.array.shape[1:] != decoded[0].array.shape[1:]:
            check_same_space(decoded[0], files[0], file, path)
    images = [as_image(file, path) for file, path in zip(decoded, files, strict=True)]
    return images[0] if len(images) == 1 else np.concatenate(images), decoded[0]


def channel_files(folder: Path, case: str, channels: int, ending: str) -> tuple[Path, ...]:
    """The files CASE_0000, CASE_0001, .. of nnU-Net's layout.

    Raises:
        UserError: naming the first that is not there.
    """
    files = tuple(folder / f"{case}_{number:04}{ending}" for number in range(channels))
    for path in files:
        if not path.exists():
            raise UserError(f"there is no {path}: the case {case} must have {channels} channels, each in a file")
    return files


def read_description(path: Path, required: Sequence[str], problem: UserError) -> Mapping[str, Any]:
    """The content of a dataset.json.

    Args:
        path: the file.
        required: keys that it must have.
        problem: raised where there is no such file.

    Raises:
        UserError: where it cannot be read or lacks a key.
    """
    if not path.is_file():
        raise problem
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    for key in required:
        if key not in content:
            raise UserError(f"{path} has no key {key!r}: expected are {', '.join(required)}")
    return dict(content)


def _check_axes(array: np.ndarray, path: Path, dims: int) -> None:
    if array.ndim != dims + 1:
        expected = "volumes are expected, which have three axes" if dims == 3 else "images are expected, of two axes"
        raise UserError(f"{path} is {shape_text(array.shape[1:])}: {expected}")
