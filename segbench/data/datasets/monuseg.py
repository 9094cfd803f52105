"""MoNuSeg: nuclei in histology of several organs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Part, Record, Source
from segbench.data.folders.files import check_pairs, files_by_key
from segbench.data.formats import read_image
from segbench.data.labels.contours import paint, read_contours
from segbench.errors import UserError

_PATIENT = re.compile(r"^(TCGA-\w+-\w+)")


class Monuseg(Dataset):
    """H&E images of 1000 x 1000 with a contour around each nucleus: a training and a test folder.

    Images of one patient (the first three words of their TCGA name) form a group of the folds.

    Args:
        root: the folder with both.
        train: the training folder below it.
        test: the test folder below it, or None: the training images are dealt by folds.
    """

    name = "monuseg"
    classes = ("background", "nucleus")
    channels = 3
    has_instances = True
    source = Source(
        address="https://monuseg.grand-challenge.org/Data/",
        licence="CC BY-NC-SA 4.0 (not verified at the origin: read it before use)",
        citation="Kumar et al. 2020, IEEE Transactions on Medical Imaging 39(5):1380-1391; "
        "Kumar et al. 2017, IEEE Transactions on Medical Imaging 36(7):1550-1560",
        layout='"MoNuSeg 2018 Training Data" and "MoNuSegTestData" with NAME.tif and NAME.xml at any depth '
        '(such as "Tissue Images" and "Annotations")',
    )
    remarks = (
        "where the contours of two nuclei overlap, the one that comes first in the file keeps the pixel",
        "a contour without the centre of any pixel inside is no nucleus",
        "negative regions are holes in all nuclei that they lie in, wherever they stand in the file",
        "later releases have 37 training images, 30 is the number of the 2018 challenge",
    )

    def __init__(self, root: str, train: str, test: str | None) -> None:
        self.root = Path(root)
        folders: dict[Part, str | None] = {"train": train, "test": test}
        self.folders = {part: folder for part, folder in folders.items() if folder is not None}
        self.published = {"train": 30, "test": 14} if test is not None else {"": 30}

    def records(self) -> list[Record]:
        """One case for each image, the training part first, sorted by name."""
        return [record for part in self.folders for record in self._part_records(part)]

    def _part_records(self, part: Part) -> list[Record]:
        folder = self.root / self.folders[part]
        if not folder.is_dir():
            raise self.missing(folder)
        images, contours = (_by_name(folder, extensions) for extensions in ([".tif", ".tiff"], [".xml"]))
        if not images:
            raise self.missing(folder / "NAME.tif")
        check_pairs(images, contours, "contours", ("{}.tif", "{}.xml"))
        fixed = part if len(self.folders) > 1 else None
        return [Record(name, _patient(name), (image, contours[name]), fixed) for name, image in images.items()]

    def load(self, record: Record) -> Case:
        """Read one image and fill its contours; number n is the n-th contour of the file."""
        image_file, contour_file = record.files
        image = read_image(image_file)
        contours = read_contours(contour_file)
        numbered = list(enumerate(contours, start=1))
        # The first nucleus last, so that it keeps its pixels; then what is cut out of any.
        nuclei, holes = ([pair for pair in numbered if pair[1].hole == hole] for hole in (False, True))
        ordered = nuclei[::-1] + holes
        height, width = image.shape[1:]
        instances = paint([contour for _, contour in ordered], [number for number, _ in ordered], (height, width))
        label = (instances > 0).astype(np.uint8)
        return Case(record.id, image, label, (1.0, 1.0), record.group, instances)


def _by_name(folder: Path, extensions: list[str]) -> dict[str, Path]:
    """The files of a folder at any depth, by name without extension."""
    found: dict[str, Path] = {}
    for path in files_by_key(folder, extensions).values():
        if path.stem in found:
            raise UserError(f"{found[path.stem]} and {path} have the same name: keep one of them")
        found[path.stem] = path
    return dict(sorted(found.items()))


def _patient(name: str) -> str:
    match = _PATIENT.match(name)
    return match[1] if match else name
