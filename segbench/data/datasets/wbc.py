"""White blood cells in stained blood smears."""

from __future__ import annotations

import hashlib
from pathlib import Path

from segbench.data.case import Case, Dataset, Record, Source
from segbench.data.files import check_pairs, files_by_key
from segbench.data.formats import read_image
from segbench.data.labels import LabelMapping


class Wbc(Dataset):
    """One white blood cell per image: its nucleus, its cytoplasm, and all else.

    Images whose files have the same content form one group: Dataset 1 has one image twice (112 and 139), with
    two slightly different masks.

    Args:
        root: the folder.
        folder: "Dataset 1" (300 images of about 120 x 120), or "Dataset 2" (100 of 300 x 300, of another
            laboratory and stain).
    """

    name = "wbc"
    classes = ("background", "cytoplasm", "nucleus")
    channels = 3
    source = Source(
        address="https://github.com/zxaoyou/segmentation_WBC",
        licence="GPL-3.0 (the repository's)",
        citation="Zheng, Wang, Wang, Liu 2018, Micron 107:55-71; acknowledge Jiangxi Tecom Science Corporation",
        layout="Dataset 1/NNN.bmp (images) and Dataset 1/NNN.png (masks)",
    )
    remarks = ("red blood cells are background", "images with the same content form one group")

    _MAPPING = LabelMapping(classes=((0,), (128,), (255,)))

    def __init__(self, root: str, folder: str) -> None:
        self.folder = Path(root) / folder

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
        return Case(record.id, read_image(image), self._MAPPING.read(mask), (1.0, 1.0), record.group)
