"""Case, record and data set: what every room of the house knows about images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from segbench.data.arrays import ArraySpec, check_names
from segbench.errors import UserError

IGNORE = 255
"""Label value of pixels that are neither learnt nor scored."""

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Case:
    """One image or volume with its label.

    Attributes:
        id: unique within the data set, safe in a file name.
        image: (C, *S), intensities as decoded: uint8, uint16, float32 or, in volumes, int16, all finite.
        label: (*S) uint8, class index per pixel, 255 = ignore; None where no reference is known.
        spacing: size of a pixel along each axis of S, in mm, or 1.0 where only pixels are known.
        group: what must not be split over training and test (patient, slide, stack block).
        instances: (*S) int32, 0 = background, or None where the data set has no instances.
        arrays: extra arrays by name, (*S) or (C, *S), as the data set declares them.
        directions: the side of the patient that each axis of S runs to, such as "SAR": superior, anterior, right;
            empty where it is not known.
    """

    id: str
    image: np.ndarray
    label: np.ndarray | None
    spacing: tuple[float, ...]
    group: str
    instances: np.ndarray | None = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    directions: str = ""


@dataclass(frozen=True)
class Record:
    """The facts about a case that are known before its pixels are read.

    Attributes:
        id: the case's id.
        group: the case's group.
        files: the files that the case is decoded from, the image first (their sizes and times key
            the cache); empty for cases drawn by code.
        part: "train", "validation" or "test" where the data set itself fixes it; None leaves it
            to the folds.
    """

    id: str
    group: str
    files: tuple[Path, ...] = ()
    part: Part | None = None

    @property
    def where(self) -> str:
        """The image file, or the id of a case without files: for messages."""
        return str(self.files[0]) if self.files else self.id


@dataclass(frozen=True)
class Source:
    """The origin of a data set.

    Attributes:
        address: of the page from which its files can be downloaded.
        licence: on which terms.
        citation: what a publication should cite.
        layout: the files expected below its root folder.
    """

    address: str
    licence: str
    citation: str
    layout: str


class Dataset(ABC):
    """A list of records and how to decode one. One subclass a file in `segbench.data.datasets`.

    Attributes:
        name: as in `cases.csv`.
        classes: names, index = class value in `Case.label`.
        background: the class left out of scores and means, or None where every class counts.
        spatial_dims: 2 or 3.
        has_instances: whether cases have objects: those that `load` gives or, where it gives None, the
            connected regions of `objects`.
        objects: the classes whose connected regions are objects; None: all but the background.
        arrays: the extra arrays that every case has, by name (`segbench.data.arrays`).
        source: where it comes from, its licence, how it is cited, its files.
        remarks: how the files were read, one sentence each, where a reader could think otherwise.
        channel_names: of the images, where they are known: "CT" is normalised otherwise than others.
        regions: unions of classes by name, which `data.regions` replaces.
        published: how many cases of each part ("train", "test", or "" for all) the data set is published
            with, where that is known.
    """

    name: str
    classes: Sequence[str]
    background: int | None = 0
    spatial_dims: int = 2
    has_instances: bool = False
    objects: Sequence[int] | None = None
    arrays: Mapping[str, ArraySpec] = MappingProxyType({})
    source: ClassVar[Source]
    remarks: Sequence[str] = ()
    channel_names: Sequence[str] = ()
    regions: Mapping[str, Sequence[int]] = MappingProxyType({})
    published: Mapping[str, int] = MappingProxyType({})

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of every image. A class attribute does, where the number is known."""

    @property
    def object_classes(self) -> list[int]:
        """The classes whose connected regions are objects."""
        if self.objects is not None:
            return list(self.objects)
        return [index for index in range(len(self.classes)) if index != self.background]

    @abstractmethod
    def records(self) -> list[Record]:
        """All cases, in a fixed order, without decoding any image.

        Raises:
            UserError: where the folder or a file is missing, or images and masks do not pair.
        """

    @abstractmethod
    def load(self, record: Record) -> Case:
        """Decode one case.

        Raises:
            UserError: where a file cannot be read, a label value is not mapped, or a pixel is not
                finite.
        """

    def settings(self) -> dict[str, object]:
        """The settings that decide the decoded arrays besides the files: keys the cache. JSON values."""
        return {}

    def missing(self, path: Path) -> UserError:
        """The error for a folder or file of this data set that is not there."""
        return UserError(
            f"{self.name}: there is no {path}; data.root must name a folder with {self.source.layout} "
            f"(or SEGBENCH_DATA the folder above it), from {self.source.address}"
        )


def check_classes(names: Sequence[object], key: str) -> None:
    """Check the names of classes: text, none twice, none empty, no more than a label can hold.

    Args:
        names: by class index.
        key: the configuration's key, for messages.

    Raises:
        UserError: naming the first that is wrong.
    """
    if len(names) > IGNORE:
        raise UserError(
            f"{key} has {len(names)} names: at most {IGNORE} classes can be told apart (0 to {IGNORE - 1}; {IGNORE} is"
            " ignored); where every object has a value of its own, masks_are=instances is right"
        )
    for index, name in enumerate(names):
        if not isinstance(name, str):
            written = "null" if name is None else str(name).lower() if isinstance(name, bool) else name
            raise UserError(f"{key} has {written} as the name of class {index}: names are text, such as '{written}' in"
                            " quotes")  # fmt: skip
        if not name.strip():
            raise UserError(f"{key}: the name of class {index} is empty")
        if name in names[:index]:
            raise UserError(f"{key}: the classes {names.index(name)} and {index} are both called {name!r}")


def check_case(case: Case, record: Record, dataset: Dataset) -> None:
    """Check that a decoded case keeps the contracts above.

    Raises:
        UserError: naming the image file, where the case's files contradict each other or the data
            set.
    """
    channels, *size = case.image.shape
    if channels != dataset.channels or len(size) != dataset.spatial_dims:
        raise UserError(
            f"{record.where} has {channels} channels and {len(size)} spatial dimensions; the data set "
            f"{dataset.name} has {dataset.channels} and {dataset.spatial_dims}"
        )
    if case.image.dtype.kind == "f" and not np.isfinite(case.image).all():
        raise UserError(f"{record.where} has pixels that are NaN or infinite")
    for what, values in (("mask", case.label), ("instance map", case.instances)):
        if values is not None and list(values.shape) != size:
            raise UserError(
                f"{record.where} is {shape_text(size)}, but its {what} is {shape_text(values.shape)}: "
                "both must have the same size"
            )
    if case.label is not None:
        highest = int(np.max(case.label, initial=0, where=case.label != IGNORE))
        if highest >= len(dataset.classes):
            raise UserError(
                f"{record.where}: its label has class {highest}; the data set {dataset.name} has "
                f"classes 0 to {len(dataset.classes) - 1}"
            )
    _check_arrays(case, record, dataset)


def _check_arrays(case: Case, record: Record, dataset: Dataset) -> None:
    """Check that a case has the arrays that its data set declares, in their form."""
    check_names(dataset.arrays, dataset.name)
    if case.arrays.keys() != dataset.arrays.keys():
        raise UserError(
            f"{record.where} has the arrays {sorted(case.arrays)}; the data set {dataset.name} declares "
            f"{sorted(dataset.arrays)}"
        )
    for name, spec in dataset.arrays.items():
        array = case.arrays[name]
        fault = spec.fault(array, case.image.shape[1:]) or spec.fault_of_values(array)
        if fault is not None:
            raise UserError(f"{record.where}: its array {name!r} {fault}")


def shape_text(size: Sequence[int]) -> str:
    """A size for people: "512 x 512"."""
    return " x ".join(str(length) for length in size)
