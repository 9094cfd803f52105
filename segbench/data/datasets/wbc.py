"""White blood cells in stained blood smears."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Record, Source
from segbench.data.folders.files import check_pairs, files_by_key
from segbench.data.formats import read_image, read_mask
from segbench.errors import UserError

_NAMES = {"Dataset 1": "wbc", "Dataset 2": "wbc2"}
_VALUES = np.array([0, 128, 255])
_NEAR, _MOST_STRANGE = 32, 0.05


class Wbc(Dataset):
    """One white blood cell per image: its nucleus, its cytoplasm, and all else.

    Some masks have a few pixels of other grey values, which count as the nearest of black, grey and white.
    Images whose files have the same content form one group: Dataset 1 has one image twice (112 and 139), with
    two slightly different masks.

    Args:
        root: the folder.
        folder: "Dataset 1" (300 images of about 120 x 120), or "Dataset 2" (100 of 300 x 300, of another
            laboratory and stain, called wbc2 in results).
    """

    classes = ("background", "cytoplasm", "nucleus")
    channels = 3
    source = Source(
        address="https://github.com/zxaoyou/segmentation_WBC",
        licence="GPL-3.0 (the repository's)",
        citation="Zheng, Wang, Wang, Liu 2018, Micron 107:55-71; acknowledge Jiangxi Tecom Science Corporation",
        layout="Dataset 1/NNN.bmp (images) and Dataset 1/NNN.png (masks), and Dataset 2 likewise",
    )
    remarks = (
        "red blood cells are background",
        "images with the same content form one group",
        "grey values of a mask other than 0, 128 and 255 count as the nearest of these",
    )

    def __init__(self, root: str, folder: str) -> None:
        if folder not in _NAMES:
            raise UserError(f"data.dataset.folder is {folder!r}: expected is one of {', '.join(_NAMES)}")
        self.folder = Path(root) / folder
        self.name = _NAMES[folder]

    def records(self) -> list[Record]:
        """One case for each image, in the order of their numbers."""
        images = files_by_key(self.folder, [".bmp"])
        if not images:
            raise self.missing(self.folder / "001.bmp")
        masks = files_by_key(self.folder, [".png"])
        check_pairs(images, masks, "mask")
        group_of: dict[str, str] = {}
        records = []
        for key, image in images.items():
            content = hashlib.sha256(image.read_bytes()).hexdigest()
            records.append(Record(key, group_of.setdefault(content, key), (image, masks[key])))
        return records

    def load(self, record: Record) -> Case:
        """Read one image and its mask."""
        image, mask = record.files
        return Case(record.id, read_image(image), _label(mask), (1.0, 1.0), record.group)


def _label(path: Path) -> np.ndarray:
    """(*S) uint8 class of each pixel: of the nearest of the three values.

    Raises:
        UserError: where the values of many pixels are near none of them.
    """
    distance = np.abs(read_mask(path)[..., None].astype(np.int64) - _VALUES)
    strange = float(np.mean(distance.min(-1) > _NEAR))
    if strange > _MOST_STRANGE:
        raise UserError(
            f"{path}: the values of {strange:.0%} of the pixels are near none of 0, 128 and 255; the file is damaged or"
            " of another data set"
        )
    label: np.ndarray = distance.argmin(-1).astype(np.uint8)
    return label
