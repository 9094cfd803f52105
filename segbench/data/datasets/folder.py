"""Any folder of images and masks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from segbench.data.case import Case, Dataset, Part, Record, Source, shape_text
from segbench.data.files import check_pairs, files_by_key
from segbench.data.formats import SUFFIXES, count_channels, read_image, read_mask
from segbench.data.labels import LabelMapping, Value
from segbench.errors import UserError

_PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


class Folder(Dataset):
    """Images in one folder, masks of the same names in another; or one such pair of folders per part.

    `root/images` and `root/masks`, or `root/train/images`, `root/train/masks`, `root/test/images` and so on
    (also `val`, `valid`, `validation`, `training`): the parts then are as the folders say.
    Subfolders of `images` are repeated in `masks`. Images are grey or RGB, all alike; a grey image among
    RGB images gets three equal channels. TIFF stacks are volumes where `spatial_dims` is 3.

    Args:
        root: the folder.
        name: the data set's name, as in `cases.csv`.
        classes: their names.
        background: the class left out of scores and means, or None.
        values: per class its pixel value, a list of them, or a colour such as "#ff0000". None: values are
            the classes' indices, or 0 and 255 where there are two classes.
        ignore: pixel values that are neither learnt nor scored.
        masks_are: "classes", or "instances": every object has a value of its own, 0 is background, and there
            are two classes.
        images: name of the folder with the images.
        masks: name of the folder with the masks.
        instances: name of a folder with instance maps beside it, or None.
        image_suffix: what every image's name ends with before its extension, as in "042_image.png".
        mask_suffix: likewise for masks and instance maps.
        group_pattern: a regular expression, searched in each image's path below `images` without suffix
            and extension; what it finds (its first group, if it has one) is the case's group, such as
            the patient. None: each case is its own group.
        spacing: size of a pixel along each axis in mm, or None for 1.0.
        spatial_dims: 2, or 3 for TIFF stacks.
    """

    source = Source(
        address="your own images",
        licence="yours",
        citation="yours",
        layout="images/NAME.* and masks/NAME.* (or train/images, train/masks, test/images, ...)",
    )

    def __init__(
        self,
        root: str,
        *,
        name: str,
        classes: Sequence[str],
        background: int | None,
        values: Sequence[Value | Sequence[Value]] | None,
        ignore: Sequence[Value],
        masks_are: Literal["classes", "instances"],
        images: str,
        masks: str,
        instances: str | None,
        image_suffix: str,
        mask_suffix: str,
        group_pattern: str | None,
        spacing: Sequence[float] | None,
        spatial_dims: int,
    ) -> None:
        if masks_are not in ("classes", "instances"):
            raise UserError(f"data.dataset.masks_are is {masks_are!r}: expected is classes or instances")
        if masks_are == "instances" and (len(classes) != 2 or values is not None or instances is not None):
            raise UserError(
                "data.dataset.masks_are is instances: this needs two classes, and values and instances null"
            )
        if spacing is not None and len(spacing) != spatial_dims:
            raise UserError(f"data.dataset.spacing has {len(spacing)} numbers: {spatial_dims} are expected")
        self.root = Path(root)
        self.name = name
        self.classes = list(classes)
        self.background = background
        self.spatial_dims = spatial_dims
        self.has_instances = masks_are == "instances" or instances is not None
        self.spacing = tuple(spacing or [1.0] * spatial_dims)
        self._masks_are_instances = masks_are == "instances"
        self._folders = {"image": images, "mask": masks} | ({"instance map": instances} if instances else {})
        self._suffixes = {"image": image_suffix, "mask": mask_suffix, "instance map": mask_suffix}
        self._group_pattern = _pattern(group_pattern)
        self._mapping = _mapping(values, ignore, len(classes))
        # Without `values`, a mask of two classes may be black and white.
        self._black_and_white = values is None and len(classes) == 2
        if self._black_and_white and not self._masks_are_instances:
            self.remarks = ["masks whose only values are 0 and 255 are read as classes 0 and 1"]

    @cached_property
    def channels(self) -> int:
        """The channels of the first image; 3 where it is grey, and another image is in colours."""
        first, *others = (record.files[0] for record in self.records())
        channels = count_channels(first)
        return 3 if channels == 1 and any(count_channels(path) == 3 for path in others) else channels

    def records(self) -> list[Record]:
        """The images, sorted by part and path."""
        if not self.root.is_dir():
            raise self.missing(self.root)
        if (self.root / self._folders["image"]).is_dir():
            records = self._part_records(self.root, "", None)
        else:
            records = [
                record
                for folder, part in _PARTS.items()
                if (self.root / folder / self._folders["image"]).is_dir()
                for record in self._part_records(self.root / folder, f"{folder}_", part)
            ]
        if not records:
            raise UserError(
                f"{self.root} has no images: expected are {self.source.layout}, with one of the extensions "
                + ", ".join(SUFFIXES)
            )
        return records

    def _part_records(self, root: Path, prefix: str, part: Part | None) -> list[Record]:
        """The cases of one pair of folders."""
        found = {}
        for kind, folder in self._folders.items():
            if not (root / folder).is_dir():
                raise self.missing(root / folder)
            found[kind] = files_by_key(root / folder, SUFFIXES, self._suffixes[kind])
            check_pairs(found["image"], found[kind], kind)
        return [
            Record(
                id=prefix + key.replace("/", "_"),
                group=self._group(key) if self._group_pattern else prefix + key,
                files=tuple(files[key] for files in found.values()),
                part=part,
            )
            for key in found["image"]
        ]

    def _group(self, key: str) -> str:
        assert self._group_pattern is not None
        match = self._group_pattern.search(key)
        if match is None:
            raise UserError(
                f"data.dataset.group_pattern {self._group_pattern.pattern!r} does not match the image "
                f"{key!r}: it must match every image"
            )
        return str(match[1] if self._group_pattern.groups else match[0])

    def load(self, record: Record) -> Case:
        """Read one image, its mask and its instance map."""
        image_file, mask_file, *instance_files = record.files
        image = read_image(image_file)
        if image.ndim - 1 != self.spatial_dims:
            raise UserError(
                f"{image_file} is {shape_text(image.shape[1:])}: data.dataset.spatial_dims is "
                f"{self.spatial_dims}; 2 is right for images, 3 for stacks that are volumes"
            )
        if len(image) == 1 and self.channels == 3:
            image = np.repeat(image, 3, axis=0)
        instances = None
        if self._masks_are_instances:
            instances = _instance_map(mask_file)
            label = (instances > 0).astype(np.uint8)
        else:
            label = self._label(mask_file)
            if instance_files:
                instances = _instance_map(instance_files[0])
        return Case(record.id, image, label, self.spacing, record.group, instances)

    def _label(self, path: Path) -> np.ndarray:
        if not self._black_and_white:
            return self._mapping.read(path)
        mask = read_mask(path)
        mapping = self._mapping
        if 255 not in mapping.ignore and np.isin(mask, (0, 255)).all():
            mapping = replace(mapping, classes=((0,), (255,)))
        return mapping.apply(mask, path)

    def settings(self) -> dict[str, object]:
        """The meaning of the masks' pixel values, and the spacing."""
        return {
            "mapping": [
                self._mapping.classes,
                self._mapping.ignore,
                self._mapping.colours,
                self._black_and_white,
            ],
            "masks_are_instances": self._masks_are_instances,
            "spacing": self.spacing,
        }


def _pattern(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern is not None else None
    except re.error as error:
        raise UserError(f"data.dataset.group_pattern {pattern!r} is no regular expression: {error}") from error


def _mapping(values: Sequence[Value | Sequence[Value]] | None, ignore: Sequence[Value], count: int) -> LabelMapping:
    return LabelMapping.parse(list(range(count)) if values is None else values, ignore, count, "data.dataset.values")


def _instance_map(path: Path) -> np.ndarray:
    """Read an instance map as (*S) int32."""
    instances = read_mask(path)
    if instances.size and (instances.min() < 0 or instances.max() > np.iinfo(np.int32).max):
        raise UserError(f"{path} is an instance map with values that are negative or beyond 32 bits")
    return instances.astype(np.int32)
