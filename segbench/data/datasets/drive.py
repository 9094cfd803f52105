"""DRIVE: vessels in photographs of the retina."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segbench.data.case import Case, Dataset, Part, Record, Source
from segbench.data.folders.files import check_pairs, files_by_key
from segbench.data.formats import read_image
from segbench.data.labels.pixel_values import LabelMapping, ignore_outside
from segbench.errors import UserError

_PARTS: dict[str, Part] = {"training": "train", "test": "test"}


class Drive(Dataset):
    """40 photographs of 565 x 584: 20 to train on, 20 to test.

    What is outside the field of view is neither learnt nor scored. The first observer's vessels are the truth.

    Args:
        root: the folder.
        parts: "training" and "test"; with one of them its images are dealt by folds. A copy of the data set
            that holds the vessels of the test part back has the training part only.
    """

    name = "drive"
    classes = ("background", "vessel")
    channels = 3
    source = Source(
        address="https://drive.grand-challenge.org/ (registration)",
        licence="stated at registration (not verified here: read it before use)",
        citation="Staal, Abramoff, Niemeijer, Viergever, van Ginneken 2004, "
        "IEEE Transactions on Medical Imaging 23(4):501-509",
        layout="training/images/NN_training.tif, training/1st_manual/NN_manual1.gif, "
        "training/mask/NN_training_mask.gif, and test/ likewise",
    )
    remarks = (
        "pixels outside the field of view are neither learnt nor scored",
        "the first observer's vessels are the truth; the second observer's (test/2nd_manual) are not read",
    )

    # By colour: GIF files hold indices into a palette.
    _BLACK_AND_WHITE = LabelMapping(classes=((0x000000,), (0xFFFFFF,)), colours=True)

    def __init__(self, root: str, parts: Sequence[str]) -> None:
        if not parts or not set(parts) <= set(_PARTS):
            raise UserError(f"data.dataset.parts is {list(parts)}: expected are some of {', '.join(_PARTS)}")
        self.root = Path(root)
        self.parts = [part for part in _PARTS if part in parts]
        self.published = {_PARTS[part]: 20 for part in self.parts} if len(self.parts) > 1 else {"": 20}

    def records(self) -> list[Record]:
        """One case for each photograph, by number, the training part first."""
        return [record for part in self.parts for record in self._part_records(part)]

    def _part_records(self, part: str) -> list[Record]:
        folder = self.root / part
        for name in ("images", "mask"):
            if not (folder / name).is_dir():
                raise self.missing(folder / name)
        if not (folder / "1st_manual").is_dir():
            raise UserError(
                f"{folder} has no 1st_manual, and so no truth: get the copy that has it, or give "
                "data.dataset.parts=[training], whose photographs are then dealt by folds"
            )
        images = files_by_key(folder / "images", [".tif"], f"_{part}")
        if not images:
            raise self.missing(folder / "images" / f"*_{part}.tif")
        vessels = files_by_key(folder / "1st_manual", [".gif"], "_manual1")
        fields = files_by_key(folder / "mask", [".gif"], f"_{part}_mask")
        check_pairs(images, vessels, "mask of vessels", (f"{{}}_{part}.tif", "{}_manual1.gif"))
        check_pairs(images, fields, "field of view", (f"{{}}_{part}.tif", f"{{}}_{part}_mask.gif"))
        fixed = _PARTS[part] if len(self.parts) > 1 else None
        return [
            Record(f"{part}_{key}", f"{part}_{key}", (image, vessels[key], fields[key]), fixed)
            for key, image in images.items()
        ]

    def load(self, record: Record) -> Case:
        """Read one photograph, its vessels and its field of view."""
        image, vessels, field = record.files
        label, inside = (self._BLACK_AND_WHITE.read(file) for file in (vessels, field))
        label = ignore_outside(label, inside, vessels, field)
        return Case(record.id, read_image(image), label, (1.0, 1.0), record.group)

    def settings(self) -> dict[str, object]:
        """The parts that there are: they decide which cases are fixed as test cases."""
        return {"parts": self.parts}
