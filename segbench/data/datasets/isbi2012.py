"""ISBI 2012: neuronal membranes in serial-section electron microscopy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Part, Record, Source
from segbench.data.formats import read_image, read_mask
from segbench.data.formats.tiff import count_pages
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError


class Isbi2012(Dataset):
    """The training stack of 30 sections, each a case of its own.

    Neighbouring sections look alike, so that a section beside a training section tests nothing: the
    test sections are the last of the stack, and blocks of consecutive sections form the groups of the folds.

    Args:
        root: the folder.
        test_sections: how many sections at the end of the stack are test cases; 0 leaves it to the folds.
        block_size: how many consecutive sections form a group.
    """

    name = "isbi2012"
    classes = ("cell", "membrane")
    channels = 1
    has_instances = True
    objects = (0,)
    source = Source(
        address="the ISBI 2012 challenge 'Segmentation of neuronal structures in EM stacks', "
        "https://imagej.net/events/isbi-2012-segmentation-challenge",
        licence="free for generating or testing non-commercial image segmentation software",
        citation="Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142; "
        "Cardona et al. 2010, PLoS Biology 8(10):e1000502",
        layout="train-volume.tif and train-labels.tif",
    )
    remarks = (
        "in train-labels.tif, 0 is membrane and 255 is cell",
        "the objects are the connected regions of the class cell; membranes form none",
    )

    _MAPPING = LabelMapping(classes=((255,), (0,)))

    def __init__(self, root: str, test_sections: int, block_size: int) -> None:
        if block_size < 1:
            raise UserError(f"data.dataset.block_size is {block_size}: at least 1 is expected")
        self.root = Path(root)
        self.test_sections = test_sections
        self.block_size = block_size

    def records(self) -> list[Record]:
        """One case for each section, in the stack's order."""
        files = (self.root / "train-volume.tif", self.root / "train-labels.tif")
        for file in files:
            if not file.is_file():
                raise self.missing(file)
        sections, labelled = (count_pages(file) for file in files)
        if sections != labelled:
            raise UserError(f"{files[0]} has {sections} sections, but {files[1]} has {labelled}: one each is expected")
        first_test = sections - self.test_sections
        if not 0 < first_test <= sections:
            raise UserError(
                f"data.dataset.test_sections is {self.test_sections}: 0 to {sections - 1} of the {sections} "
                "sections can be test cases"
            )
        return [self._record(index, first_test, sections, files) for index in range(sections)]

    def _record(self, index: int, first_test: int, sections: int, files: tuple[Path, ...]) -> Record:
        """One section; blocks are counted anew from the first test section, so that none has both parts."""
        start, end = (0, first_test) if index < first_test else (first_test, sections)
        block = start + (index - start) // self.block_size * self.block_size
        part: Part | None = None
        if self.test_sections:
            part = "test" if index >= first_test else "train"
        last = min(block + self.block_size, end) - 1
        return Record(f"section_{index:02}", f"sections_{block:02}_to_{last:02}", files, part)

    def load(self, record: Record) -> Case:
        """Cut one section out of the two stacks."""
        volume, labels = record.files
        section = int(record.id.removeprefix("section_"))
        image = read_image(volume)[:, section]
        label = self._MAPPING.apply(read_mask(labels)[section], labels)
        return Case(record.id, np.ascontiguousarray(image), label, (1.0, 1.0), record.group)

    def settings(self) -> dict[str, object]:
        """The settings that decide parts and groups."""
        return {"test_sections": self.test_sections, "block_size": self.block_size}
