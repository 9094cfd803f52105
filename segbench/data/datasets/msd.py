"""The ten tasks of the Medical Segmentation Decathlon, and whatever is laid out as they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from segbench.data.case import Record, Source
from segbench.data.datasets.volumes import Volumes, read_description
from segbench.data.folders.files import stem_of
from segbench.data.formats import SUFFIXES
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError


class Msd(Volumes):
    """One task: the training cases that its dataset.json lists; those of the test part have no labels.

    Args:
        root: the task's folder, with dataset.json, imagesTr and labelsTr.
        check_space: refuse an image and a label whose spacing, direction or origin differ.
    """

    source = Source(
        address="http://medicaldecathlon.com",
        licence="CC BY-SA 4.0",
        citation="Antonelli et al. 2022, Nature Communications 13:4128",
        layout="dataset.json, imagesTr/*.nii.gz and labelsTr/*.nii.gz",
    )

    def __init__(self, root: str, check_space: bool) -> None:
        super().__init__(Path(root), check_space)
        self.name = self.root.name

    @cached_property
    def _about(self) -> Mapping[str, Any]:
        path = self.root / "dataset.json"
        return read_description(path, ("labels", "modality", "training"), self.missing(path))

    @cached_property
    def _values(self) -> dict[int, str]:
        """The name of each value of the labels, in rising order."""
        return dict(sorted((int(value), str(name)) for value, name in self._about["labels"].items()))

    @property
    def classes(self) -> list[str]:  # type: ignore[override]
        """The names that dataset.json has."""
        return list(self._values.values())

    @property
    def background(self) -> int | None:  # type: ignore[override]
        """The class of the value 0."""
        return 0 if 0 in self._values else None

    @property
    def mapping(self) -> LabelMapping:
        """The value of each class."""
        return LabelMapping(
            tuple((value,) for value in self._values), hint=f"{self.root}/dataset.json lists the labels"
        )

    @property
    def channel_names(self) -> list[str]:  # type: ignore[override]
        """The modalities of dataset.json."""
        return [str(name) for _, name in sorted(self._about["modality"].items(), key=lambda entry: int(entry[0]))]

    @property
    def published(self) -> Mapping[str, int]:  # type: ignore[override]
        """The number of training cases that dataset.json says."""
        return {"": int(self._about.get("numTraining", len(self._about["training"])))}

    @property
    def channels(self) -> int:  # type: ignore[override]
        """One for each modality of dataset.json."""
        return len(self.channel_names)

    def records(self) -> list[Record]:
        """The listed cases, sorted by name."""
        records = []
        for pair in self._about["training"]:
            files = self.root / str(pair["image"]), self.root / str(pair["label"])
            for file in files:
                if not file.is_file():
                    raise UserError(f"there is no {file}, which {self.root}/dataset.json lists")
            name = stem_of(files[0].name, SUFFIXES) or files[0].name
            records.append(Record(name, name, files))
        return sorted(records, key=lambda record: record.id)
