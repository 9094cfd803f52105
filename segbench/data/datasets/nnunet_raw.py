"""Data sets as nnU-Net v2 takes them: the folders of `nnUNet_raw`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from segbench.data.case import IGNORE, Record, Source
from segbench.data.datasets.volumes import Volumes, channel_files, read_description
from segbench.data.formats import count_channels
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError

_OF_IMAGES = (".png", ".bmp")
"""The endings of images in 2D, of which one file may hold all colours."""


class NnunetRaw(Volumes):
    """The training cases of one data set: `imagesTr/CASE_0000.nii.gz` .. and `labelsTr/CASE.nii.gz`.

    Images in 2D are PNG or BMP files.

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
        self._all, self._task = Path(root), task
        found = _folders(self._all, task)
        self.name = found[0] if len(found) == 1 else f"Dataset{task}"
        super().__init__(self._all / self.name, check_space)

    @cached_property
    def _about(self) -> Mapping[str, Any]:
        _check_task(self._all, self._task)
        path = self.root / "dataset.json"
        return read_description(path, ("channel_names", "labels", "file_ending"), self.missing(path))

    @cached_property
    def _values(self) -> dict[str, list[int]]:
        """The values of each name in dataset.json, without those that are ignored."""
        labels = self._about["labels"].items()
        return {str(name): _values(value, self.root) for name, value in labels if name != "ignore"}

    @property
    def spatial_dims(self) -> int:  # type: ignore[override]
        """2 of images, by the ending of their files; 3 where the data set is not there yet."""
        if len(_folders(self._all, self._task)) != 1:
            return 3
        return 2 if str(self._about["file_ending"]).lower() in _OF_IMAGES else 3

    @property
    def _highest(self) -> int:
        return max(max(members, default=0) for members in self._values.values())

    @cached_property
    def regions(self) -> Mapping[str, list[int]]:  # type: ignore[override]
        """The labels that are not the background, where one has several values."""
        if all(len(members) == 1 for members in self._values.values()):
            return {}
        return {name: members for name, members in self._values.items() if members != [0]}

    @cached_property
    def classes(self) -> list[str]:  # type: ignore[override]
        """The names of the values; where labels are regions, "label_1" and so on, as no region is called."""
        values = range(1, self._highest + 1)
        if self.regions:
            return ["background", *(f"label_{value}" for value in values)]
        names = {members[0]: name for name, members in self._values.items()}
        return [names.get(value, f"label_{value}") for value in range(self._highest + 1)]

    @property
    def mapping(self) -> LabelMapping:
        """The value of each class, and the one that is ignored."""
        ignored = self._about["labels"].get("ignore")
        return LabelMapping(
            tuple((value,) for value in range(self._highest + 1)),
            () if ignored is None else tuple(_values(ignored, self.root)),
            hint=f"{self.root}/dataset.json lists the labels",
        )

    @property
    def channel_names(self) -> list[str]:  # type: ignore[override]
        """The names that dataset.json has."""
        return [str(name) for _, name in sorted(self._about["channel_names"].items(), key=lambda entry: int(entry[0]))]

    @property
    def channels(self) -> int:  # type: ignore[override]
        """One for each of the channel names."""
        return len(self.channel_names)

    def records(self) -> list[Record]:
        """The training cases, sorted by name."""
        ending = str(self._about["file_ending"])
        if "dataset" in self._about:
            return [
                Record(case, case, tuple(self.root / file for file in (*files["images"], files["label"])))
                for case, files in sorted(self._about["dataset"].items())
            ]
        images, labels = self.root / "imagesTr", self.root / "labelsTr"
        for folder in (images, labels):
            if not folder.is_dir():
                raise self.missing(folder)
        found = {path.name.removesuffix(ending): path for path in sorted(labels.glob(f"*{ending}"))}
        if not found:
            raise UserError(f"{labels} has no file that ends with {ending}, as dataset.json says")
        return [Record(case, case, (*self._image_files(images / case, ending), label)) for case, label in found.items()]

    def _image_files(self, path: Path, ending: str) -> tuple[Path, ...]:
        """The files of a case's channels; one file, where it is an image that has them all."""
        first, second = (path.with_name(f"{path.name}_{number:04}{ending}") for number in range(2))
        alone = self.spatial_dims == 2 and self.channels > 1 and first.exists() and not second.exists()
        if alone and count_channels(first) == self.channels:
            return (first,)
        return channel_files(path.parent, path.name, self.channels, ending)


def _folders(root: Path, task: str | int) -> list[str]:
    """The data sets that a name or a number stands for."""
    number = f"Dataset{int(task):03}_" if str(task).isdecimal() else None
    there = sorted(path.name for path in root.glob("Dataset*") if path.is_dir())
    return [name for name in there if (number is not None and name.startswith(number)) or name == task]


def _check_task(root: Path, task: str | int) -> None:
    """Check that there is one data set of a name or number.

    Raises:
        UserError: where there is none, or several.
    """
    if len(_folders(root, task)) != 1:
        there = sorted(path.name for path in root.glob("Dataset*"))
        listed = ", ".join(there[:8]) or "nothing called Dataset.."
        raise UserError(
            f"data.task={task}: there is no such data set in data.root={root} (by default the environment variable"
            f" nnUNet_raw), which has {listed}"
        )


def _values(value: Any, path: Path) -> list[int]:
    members = value if isinstance(value, list) else [value]
    if not all(isinstance(member, int) and 0 <= member < IGNORE for member in members):
        raise UserError(
            f"{path} has the label {value!r}: expected is a number from 0 to {IGNORE - 1}, or a list of them"
        )
    return sorted(members)
