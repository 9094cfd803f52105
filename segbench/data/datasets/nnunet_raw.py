"""Data sets as nnU-Net v2 takes them: the folders of `nnUNet_raw`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.data.case import IGNORE, Record, Source
from segbench.data.datasets.volumes import Volumes, channel_files, read_description
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError


class NnunetRaw(Volumes):
    """The training cases of one data set: `imagesTr/CASE_0000.nii.gz` .. and `labelsTr/CASE.nii.gz`.

    Names of classes, channels, regions and the value that is ignored are those of its dataset.json. Where labels are
    regions, the classes are the values 0, 1, .. that they are unions of, called after the region that is a value alone.

    Args:
        root: the folder of all data sets, which nnU-Net calls nnUNet_raw.
        task: one of them: Dataset004_Hippocampus, or its number.
        check_space: refuse an image and a label whose spacing, direction or origin differ.
    """

    source = Source(
        address="your own data sets for nnU-Net",
        licence="yours",
        citation="yours",
        layout="DatasetNNN_NAME/dataset.json, imagesTr/CASE_0000.nii.gz .. and labelsTr/CASE.nii.gz",
    )

    def __init__(self, root: str, task: str | int, check_space: bool) -> None:
        folder = _folder(Path(root), task)
        self.name = folder.name
        path = folder / "dataset.json"
        about = read_description(path, ("channel_names", "labels", "file_ending"), self.missing(path))
        values = {str(name): _values(value, path) for name, value in about["labels"].items()}
        ignored = values.pop("ignore", ())
        highest = max(max(members, default=0) for members in values.values())
        known = tuple((value,) for value in range(highest + 1))
        mapping = LabelMapping(known, tuple(ignored), hint=f"{path} lists the labels")
        super().__init__(folder, mapping, check_space)
        alone = {members[0]: name for name, members in values.items() if len(members) == 1}
        self.classes = [alone.get(value, f"label_{value}") for value in range(highest + 1)]
        self.regions = (
            {name: members for name, members in values.items() if list(members) != [0]}
            if any(len(members) > 1 for members in values.values())
            else {}
        )
        if self.regions:  # otherwise a class and a region would have one name
            self.classes = ["background", *(f"label_{value}" for value in range(1, highest + 1))]
        self.channel_names = [str(name) for _, name in sorted(about["channel_names"].items(), key=lambda c: int(c[0]))]
        self._ending = str(about["file_ending"])
        self._listed: Mapping[str, Any] = about.get("dataset", {})

    @property
    def channels(self) -> int:  # type: ignore[override]
        """One for each of the channel names."""
        return len(self.channel_names)

    def records(self) -> list[Record]:
        """The training cases, sorted by name."""
        if self._listed:
            return [
                Record(case, case, tuple(self.root / file for file in (*files["images"], files["label"])))
                for case, files in sorted(self._listed.items())
            ]
        images, labels = self.root / "imagesTr", self.root / "labelsTr"
        for folder in (images, labels):
            if not folder.is_dir():
                raise self.missing(folder)
        found = {path.name.removesuffix(self._ending): path for path in sorted(labels.glob(f"*{self._ending}"))}
        if not found:
            raise UserError(f"{labels} has no file that ends with {self._ending}, as dataset.json says")
        return [
            Record(case, case, (*channel_files(images, case, self.channels, self._ending), label))
            for case, label in found.items()
        ]


def _folder(root: Path, task: str | int) -> Path:
    """The folder of a data set by its name or number.

    Raises:
        UserError: where there is none.
    """
    there = sorted(path.name for path in root.glob("Dataset*") if path.is_dir())
    number = f"Dataset{int(task):03}_" if str(task).isdecimal() else None
    names = [name for name in there if (number is not None and name.startswith(number)) or name == task]
    if len(names) != 1:
        listed = ", ".join(there[:8]) or "nothing called Dataset.."
        raise UserError(
            f"data.task={task}: there is no such data set in data.root={root} (by default the environment variable"
            f" nnUNet_raw), which has {listed}"
        )
    return root / names[0]


def _values(value: Any, path: Path) -> list[int]:
    members = value if isinstance(value, list) else [value]
    if not all(isinstance(member, int) and 0 <= member < IGNORE for member in members):
        raise UserError(
            f"{path} has the label {value!r}: expected is a number from 0 to {IGNORE - 1}, or a list of them"
        )
    return sorted(members)
