"""The ten tasks of the Medical Segmentation Decathlon, and whatever is laid out as they are."""

from __future__ import annotations

from pathlib import Path

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
        self.root = Path(root)
        self.name = self.root.name
        about = read_description(
            self.root / "dataset.json", ("labels", "modality", "training"), self.missing(self.root / "dataset.json")
        )
        values = sorted((int(value), str(name)) for value, name in about["labels"].items())
        mapping = LabelMapping(
            tuple((value,) for value, _ in values), hint=f"{self.root}/dataset.json lists the labels"
        )
        super().__init__(self.root, mapping, check_space)
        self.classes = [name for _, name in values]
        self.background = 0 if values[0][0] == 0 else None
        self.channel_names = [name for _, name in sorted((int(k), str(v)) for k, v in about["modality"].items())]
        self._listed = [(str(pair["image"]), str(pair["label"])) for pair in about["training"]]
        self.published = {"": int(about.get("numTraining", len(self._listed)))}

    @property
    def channels(self) -> int:  # type: ignore[override]
        """One for each modality of dataset.json."""
        return len(self.channel_names)

    def records(self) -> list[Record]:
        """The listed cases, sorted by name."""
        records = []
        for image, label in self._listed:
            files = self.root / image, self.root / label
            for file in files:
                if not file.is_file():
                    raise UserError(f"there is no {file}, which {self.root}/dataset.json lists")
            name = stem_of(files[0].name, SUFFIXES) or files[0].name
            records.append(Record(name, name, files))
        return sorted(records, key=lambda record: record.id)
