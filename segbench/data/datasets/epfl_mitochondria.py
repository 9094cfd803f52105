"""EPFL: mitochondria in electron microscopy of the hippocampus."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Part, Record, Source, shape_text
from segbench.data.formats.tiff import count_pages, read_pages
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError

_STACKS: dict[str, Part] = {"training": "train", "testing": "test"}


class EpflMitochondria(Dataset):
    """Two stacks of 165 slices of 768 x 1024: one to train on, one to test.

    Neighbouring slices look alike, so that blocks of consecutive slices form the groups of the folds. Either
    each slice is a case of its own, or each block is a volume.

    Args:
        root: the folder.
        spatial_dims: 2: each slice is a case; 3: each block is one.
        block_size: how many consecutive slices form a group.
        spacing: size of a voxel along every axis, in the unit that distances are to have: 1.0 for voxels,
            5e-6 for mm (a voxel is 5 x 5 x 5 nm).
    """

    name = "epfl_mitochondria"
    classes = ("background", "mitochondrion")
    channels = 1
    has_instances = True
    source = Source(
        address="https://www.epfl.ch/labs/cvlab/data/data-em/",
        licence="stated at that page (not verified here: read it before use)",
        citation="Lucchi, Smith, Achanta, Knott, Fua 2012, IEEE Transactions on Medical Imaging 31(2):474-486",
        layout="training.tif, training_groundtruth.tif, testing.tif and testing_groundtruth.tif",
    )
    remarks = (
        "the objects are the connected regions of mitochondria: touching ones are one object",
        "a voxel is 5 x 5 x 5 nm; distances are in the unit of data.dataset.spacing, by default voxels",
    )

    _MAPPING = LabelMapping(classes=((0,), (255,)))

    def __init__(self, root: str, spatial_dims: int, block_size: int, spacing: float) -> None:
        if block_size < 1:
            raise UserError(f"data.dataset.block_size is {block_size}: at least 1 is expected")
        if spatial_dims not in (2, 3):
            raise UserError(f"data.dataset.spatial_dims is {spatial_dims}: 2 (slices) or 3 (blocks) is expected")
        self.root = Path(root)
        self.spatial_dims = spatial_dims
        self.block_size = block_size
        self.spacing = (spacing,) * spatial_dims
        if spatial_dims == 2:
            self.published = {"train": 165, "test": 165}

    def records(self) -> list[Record]:
        """The cases of the training stack, then of the test stack, each in the stack's order."""
        return [record for stack in _STACKS for record in self._stack_records(stack)]

    def _stack_records(self, stack: str) -> list[Record]:
        files = (self.root / f"{stack}.tif", self.root / f"{stack}_groundtruth.tif")
        for file in files:
            if not file.is_file():
                raise self.missing(file)
        slices, labelled = (count_pages(file) for file in files)
        if slices != labelled:
            raise UserError(f"{files[0]} has {slices} slices, but {files[1]} has {labelled}: one each is expected")
        records = []
        for start in range(0, slices, self.block_size):
            stop = min(start + self.block_size, slices)
            block = f"{stack}_{start:03}_to_{stop - 1:03}"
            names = [block] if self.spatial_dims == 3 else [f"{stack}_{index:03}" for index in range(start, stop)]
            records += [Record(name, block, files, _STACKS[stack]) for name in names]
        return records

    def load(self, record: Record) -> Case:
        """Cut one slice or block out of its two stacks."""
        image_file, label_file = record.files
        numbers = [int(word) for word in record.id.split("_") if word.isdigit()]
        image, mask = (read_pages(file, numbers[0], numbers[-1] + 1) for file in record.files)
        if image.shape != mask.shape:
            raise UserError(
                f"{image_file} has slices of {shape_text(image.shape[1:])}, but {label_file} of "
                f"{shape_text(mask.shape[1:])}: both must have the same size"
            )
        label = self._MAPPING.apply(mask, label_file)
        if self.spatial_dims == 2:
            image, label = image[0], label[0]
        return Case(record.id, np.ascontiguousarray(image[None]), label, self.spacing, record.group)

    def settings(self) -> dict[str, object]:
        """The settings that decide cases, groups and spacing."""
        return {"spatial_dims": self.spatial_dims, "block_size": self.block_size, "spacing": self.spacing}
