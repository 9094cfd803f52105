"""GlaS (Warwick-QU): glands in histology of the colon."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Part, Record, Source
from segbench.data.folders.files import check_pairs
from segbench.data.formats import read_image, read_mask
from segbench.errors import UserError

_PUBLISHED = {"train": 85, "testA": 60, "testB": 20}
_TESTS = {"A": ("testA",), "B": ("testB",), "AB": ("testA", "testB")}


class Glas(Dataset):
    """H&E images with a map of their glands: 85 to train on, 60 in test part A and 20 in test part B.

    Images of one patient (by `Grade.csv`) form a group of the folds. The challenge divided images, not
    patients: a patient may be in its training and its test part, and these stay as published.

    Args:
        root: the folder with all images.
        test: which part tests: "A", "B" or "AB" for both; the other one is left out.
    """

    name = "glas"
    classes = ("background", "gland")
    channels = 3
    has_instances = True
    source = Source(
        address="https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest/",
        licence="research only, no commercial use",
        citation="Sirinukunwattana et al. 2017, Medical Image Analysis 35:489-502; "
        "Sirinukunwattana, Snead, Rajpoot 2015, IEEE Transactions on Medical Imaging 34(11):2366-2378",
        layout="train_N.bmp and train_N_anno.bmp, the same for testA and testB, and Grade.csv",
    )
    remarks = (
        "a gland is what has one number in the map, touching or not; 0 is background",
        "distances are in pixels: a pixel is 0.62005 um by the challenge's page, 0.465 um by another one",
        "a patient of the training part may also be in a test part: the challenge divided images",
    )

    def __init__(self, root: str, test: str) -> None:
        if test not in _TESTS:
            raise UserError(f"data.dataset.test is {test!r}: expected is one of {', '.join(_TESTS)}")
        self.root = Path(root)
        self.test = test
        self.published = {"train": _PUBLISHED["train"], "test": sum(_PUBLISHED[part] for part in _TESTS[test])}

    def records(self) -> list[Record]:
        """The images of the training part, then of the test part, by number."""
        if not self.root.is_dir():
            raise self.missing(self.root)
        files = {path.stem: path for path in self.root.iterdir() if path.suffix.lower() == ".bmp"}
        images = {name: path for name, path in files.items() if not name.endswith("_anno")}
        masks = {name.removesuffix("_anno"): path for name, path in files.items() if name not in images}
        patients = self._patients()
        records = []
        for folder in ("train", *_TESTS[self.test]):
            part: Part = "train" if folder == "train" else "test"
            chosen, annotated = (
                {name: path for name, path in some.items() if name.split("_")[0] == folder} for some in (images, masks)
            )
            if not chosen:
                raise self.missing(self.root / f"{folder}_1.bmp")
            check_pairs(chosen, annotated, "map of glands", named=("{}.bmp", "{}_anno.bmp"))
            for name in sorted(chosen, key=_number):
                if name not in patients:
                    raise UserError(f"{self.root / 'Grade.csv'} has no line for {name}: it names every image's patient")
                records.append(Record(name, f"{part}_patient_{patients[name]}", (chosen[name], masks[name]), part))
        return records

    def _patients(self) -> dict[str, str]:
        """The patient of each image."""
        path = self.root / "Grade.csv"
        if not path.is_file():
            raise self.missing(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [[entry.strip() for entry in row] for row in csv.reader(file)]
        header = [name.lower() for name in rows[0]] if rows else []
        if "name" not in header or "patient id" not in header:
            raise UserError(f"{path} has the columns {', '.join(header)}: expected are name and patient ID")
        name, patient = header.index("name"), header.index("patient id")
        return {row[name]: row[patient] for row in rows[1:] if len(row) > max(name, patient)}

    def load(self, record: Record) -> Case:
        """Read one image and its map of glands."""
        image, annotation = record.files
        instances = read_mask(annotation).astype(np.int32)
        label = (instances > 0).astype(np.uint8)
        return Case(record.id, read_image(image), label, (1.0, 1.0), record.group, instances)


def _number(name: str) -> tuple[str, int]:
    part, _, number = name.partition("_")
    return part, int(number) if number.isdigit() else 0
