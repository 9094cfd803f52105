"""Any folder of images and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segbench.data.arrays import ArraySpec
from segbench.data.case import Case, Dataset, Part, Record, Source, shape_text
from segbench.data.folders.arrays import file_kind, folder_arrays, quantities
from segbench.data.folders.files import few, files_left, stem_of
from segbench.data.folders.layout import FileNames, FolderLayout, parse_pattern
from segbench.data.folders.spacing import Spacings
from segbench.data.formats import SUFFIXES, as_image, as_instances, count_channels, decode
from segbench.data.formats.orientation import shown
from segbench.data.formats.reader import Decoded
from segbench.data.labels.mask_reader import MaskReader
from segbench.data.labels.pixel_values import Value, ignore_outside
from segbench.data.series import blocks
from segbench.errors import UserError


class Folder(Dataset):
    """Images in one folder, masks of the same names in another; or one such pair of folders per part.

    `root/images` and `root/masks`, or `root/train/images`, `root/train/masks`, `root/test/images` and so on
    (also `val`, `valid`, `validation`, `training`, `testing`, or as `parts` says): the parts are as the folders say.
    Subfolders of `images` are repeated in `masks`. Images are grey or RGB, all alike; a grey image among
    RGB images gets three equal channels. TIFF stacks are volumes where `spatial_dims` is 3.

    Args:
        root: the folder.
        name: the data set's name, as in `cases.csv`.
        classes: their names.
        background: the class left out of scores and means, or None.
        values: per class its pixel value, a list of them, a range such as "128-255", or a colour such as "#ff0000".
            None: values are the classes' indices, or 0 and 255 where there are two classes.
        ignore: pixel values that are neither learnt nor scored.
        masks_are: "classes", or "instances": every object has a value of its own, 0 is background, and there
            are two classes.
        images: name of the folder with the images.
        masks: name of the folder with the masks.
        instances: name of a folder with instance maps beside it, or None.
        image_suffix: what every image's name ends with before its extension, as in "042_image.png".
        mask_suffix: likewise for masks and instance maps.
        image_pattern: a regular expression instead, which matches the whole path of an image below `images`, without
            extension; its groups, joined by _, are the case's name, in which digits are a number: 012 is 12. Images
            that it does not match are passed over. None: the path is the name.
        mask_pattern: likewise for masks and instance maps.
        parts: the folder of each part: train, validation, test. None: folders of the names above.
        group_pattern: a regular expression, searched in each image's path below `images` without suffix
            and extension; what it finds (its first group, if it has one) is the case's group, such as
            the patient. None: each case is its own group.
        spacing: size of a pixel along each axis in mm, for all images; "pixels": 1.0. None: as each image file
            says, which all must do or none; then it is 1.0.
        spatial_dims: 2, or 3 for TIFF stacks.
        spacing_file: a table of them, below `root` or anywhere: a CSV file with the columns case, (z,) y, x.
        orientation: whether masks belong to the images as "stored", or as viewers "shown" them, where EXIF turns
            them. None: as stored, and an image and a mask that are turned in different ways are refused.
        arrays: extra arrays by name: the folder beside `images` and `masks` that has a file for each image, such as
            {"weights": "weights"}, or what `FolderArray` takes: {"second": {"folder": "masks2", "labels": True}};
            None: there are none.
        block_size: how many consecutive images of a numbered series, such as the sections of a stack, form a group.
            None: each image is its own group.
        field_of_view: the array that is not 0 where an image shows something: what lies outside is neither learnt
            nor scored. None: images are full.
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
        spacing: Sequence[float] | Literal["pixels"] | None,
        spatial_dims: int,
        spacing_file: str | None = None,
        orientation: Literal["stored", "shown"] | None = None,
        arrays: Mapping[str, str | Mapping[str, Any]] | None = None,
        field_of_view: str | None = None,
        image_pattern: str | None = None,
        mask_pattern: str | None = None,
        parts: Mapping[str, str] | None = None,
        block_size: int | None = None,
    ) -> None:
        if block_size is not None and group_pattern is not None:
            raise UserError("data.dataset has block_size and group_pattern: a case has one group, so give one of them")
        if masks_are not in ("classes", "instances"):
            raise UserError(f"data.dataset.masks_are is {masks_are!r}: expected is classes or instances")
        if masks_are == "instances" and (len(classes) != 2 or values is not None or instances is not None):
            raise UserError(
                "data.dataset.masks_are is instances: this needs two classes, and values and instances null"
            )
        if orientation not in (None, "stored", "shown"):
            raise UserError(f"data.dataset.orientation is {orientation!r}: expected is stored, shown or null")
        self.root = Path(root)
        self.name = name
        self.classes = list(classes)
        self.background = background
        self.spatial_dims = spatial_dims
        self.has_instances = masks_are == "instances" or instances is not None
        self._spacings = Spacings(spacing, Path(root, spacing_file) if spacing_file else None, spatial_dims)
        self.block_size = block_size
        self._orientation = orientation
        self._masks_are_instances = masks_are == "instances"
        folders = {"image": images, "mask": masks} | ({"instance map": instances} if instances else {})
        names = {"image": FileNames.parse("data.dataset.image_", image_suffix, image_pattern)}
        names["mask"] = names["instance map"] = FileNames.parse("data.dataset.mask_", mask_suffix, mask_pattern)
        self._arrays = folder_arrays(arrays)
        if field_of_view is not None and field_of_view not in self._arrays:
            known = ", ".join(self._arrays) or "none"
            raise UserError(f"data.dataset.field_of_view={field_of_view}: is none of data.dataset.arrays ({known})")
        self._field_of_view = field_of_view
        for array_name, array in self._arrays.items():
            folders[file_kind(array_name)] = array.folder
            key = f"data.dataset.arrays.{array_name}."
            names[file_kind(array_name)] = FileNames.parse(key, array.suffix, array.pattern)
        self._layout = FolderLayout(self.root, folders, names, parts)
        self._patterned = image_pattern is not None
        self._group_pattern = parse_pattern("data.dataset.group_pattern", group_pattern)
        self._label = MaskReader(values, ignore, len(classes))

    @property
    def remarks(self) -> Sequence[str]:  # type: ignore[override]  # some of them need a look at the files
        """The meaning of black and white, the source of the spacing, and the files passed over."""
        remarks = []
        if self._label.black_and_white and not self._masks_are_instances:
            remarks.append("masks whose only values are 0 and 255 are read as classes 0 and 1")
        if self._spacings.from_files and decode(self.records()[0].files[0]).spacing is not None:
            remarks.append(
                "the image files say how large their pixels are: distances, such as hd95, are in mm "
                "(data.dataset.spacing=pixels: in pixels), tolerances as metrics.classes.nsd.unit says"
            )
        for folder in (root / kind for root, _, _ in self._layout.roots() for kind in self._layout.folders.values()):
            if left := files_left(folder, SUFFIXES):
                remarks.append(f"passed over in {folder}, since in no known format ({len(left)}): {few(left)}")
        return remarks

    @cached_property
    def channels(self) -> int:
        """The channels of the first image; 3 where it is grey, and another image is in colours."""
        first, *others = (record.files[0] for record in self.records())
        channels = count_channels(first)
        return 3 if channels == 1 and any(count_channels(path) == 3 for path in others) else channels

    @cached_property
    def arrays(self) -> Mapping[str, ArraySpec]:  # type: ignore[override]
        """Their forms: label maps have the data set's classes, others the channels of the first file."""
        files = dict(zip(self._layout.folders, self.records()[0].files, strict=True)) if self._arrays else {}
        return {name: array.spec(files[file_kind(name)], len(self.classes)) for name, array in self._arrays.items()}

    def records(self) -> list[Record]:
        """The images, sorted by part and path."""
        if not self.root.is_dir():
            raise self.missing(self.root)
        records = [record for folder in self._layout.roots() for record in self._part_records(*folder)]
        if not records:
            raise UserError(
                f"{self.root} has no images: expected are {self.source.layout}, with one of the extensions "
                f"{', '.join(SUFFIXES)}{self._layout.layout_hint()}"
            )
        self._spacings.check(record.id for record in records)
        return records

    def _part_records(self, root: Path, prefix: str, part: Part | None) -> list[Record]:
        """The cases of one pair of folders."""
        found = {}
        for kind, folder in self._layout.folders.items():
            if not (root / folder).is_dir():
                raise UserError(f"{self.missing(root / folder)}{self._layout.layout_hint()}")
            found[kind] = self._layout.files(root, kind)
            self._layout.check_pairs(root, found["image"], found[kind], kind)
        in_blocks = None if self.block_size is None else blocks(list(found["image"]), self.block_size)
        return [
            Record(
                id=prefix + key.replace("/", "_"),
                group=prefix + in_blocks[key]
                if in_blocks is not None
                else self._group(prefix, key, path.relative_to(root / self._layout.folders["image"])),
                files=tuple(files[key] for files in found.values()),
                part=part,
            )
            for key, path in found["image"].items()
        ]

    def _group(self, prefix: str, key: str, path: Path) -> str:
        """The group of an image, by its name and its path below the folder of images."""
        if self._group_pattern is None:
            return prefix + key
        if self._patterned:  # then the name is but a part of the path
            key = (path.parent / (stem_of(path.name, SUFFIXES) or path.name)).as_posix()
        match = self._group_pattern.search(key)
        if match is None:
            raise UserError(
                f"data.dataset.group_pattern {self._group_pattern.pattern!r} does not match the image "
                f"{key!r}: it must match every image"
            )
        return str(match[1] if self._group_pattern.groups else match[0])

    def load(self, record: Record) -> Case:
        """Read one image, its mask, its instance map and its extra arrays."""
        files = dict(zip(self._layout.folders, zip(self._decode(record), record.files, strict=True), strict=True))
        (decoded, image_file), (mask, mask_file) = files["image"], files["mask"]
        image = as_image(decoded, image_file)
        if image.ndim - 1 != self.spatial_dims:
            raise UserError(
                f"{image_file} is {shape_text(image.shape[1:])}: data.dataset.spatial_dims is "
                f"{self.spatial_dims}; 2 is right for images, 3 for stacks that are volumes"
            )
        if len(image) == 1 and self.channels == 3:
            image = np.repeat(image, 3, axis=0)
        instances = None
        if self._masks_are_instances:
            instances = as_instances(mask, mask_file)
            label = (instances > 0).astype(np.uint8)
        else:
            label = self._label(mask, mask_file)
            if "instance map" in files:
                instances = as_instances(*files["instance map"])
        arrays = {
            name: self._label(*files[file_kind(name)]) if array.labels else quantities(*files[file_kind(name)])
            for name, array in self._arrays.items()
        }
        if self._field_of_view is not None:
            where = files[file_kind(self._field_of_view)][1]
            label = ignore_outside(label, arrays[self._field_of_view], mask_file, where)
        spacing = self._spacings.of(record.id, decoded.spacing, image_file)
        return Case(record.id, image, label, spacing, record.group, instances, arrays)

    def _decode(self, record: Record) -> list[Decoded]:
        """The content of a case's files, all turned alike."""
        files = [decode(path) for path in record.files]
        if self._orientation == "shown":
            return [shown(file) for file in files]
        for path, file in zip(record.files, files, strict=True):
            if file.orientation != files[0].orientation and self._orientation is None:
                raise UserError(
                    f"viewers turn {record.files[0]} (EXIF orientation {files[0].orientation}), but not {path} "
                    f"({file.orientation}) with it: data.dataset.orientation=shown where it belongs to what they show, "
                    "=stored where it belongs to the stored pixels"
                )
        return files

    def settings(self) -> dict[str, object]:
        """The meaning of the masks' pixel values, the spacing, and the arrays if there are any."""
        arrays = {name: asdict(array) for name, array in self._arrays.items()}
        extra = {"arrays": arrays, "field_of_view": self._field_of_view} if arrays else {}
        return extra | {
            "mapping": [
                self._label.mapping.classes,
                self._label.mapping.ignore,
                self._label.mapping.colours,
                self._label.black_and_white,
            ],
            "masks_are_instances": self._masks_are_instances,
            "spacing": self._spacings.settings(),
            "orientation": self._orientation,
        }
