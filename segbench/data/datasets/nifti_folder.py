"""Any folder of volumes and their labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from segbench.data.case import Record, Source
from segbench.data.datasets.volumes import Volumes
from segbench.data.folders.files import check_pairs, few, files_by_key, files_left
from segbench.data.folders.layout import parse_pattern
from segbench.data.formats import SUFFIXES
from segbench.data.labels.pixel_values import LabelMapping, Value
from segbench.errors import UserError

CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
"""The name of a file with one channel of a case, as nnU-Net has it."""


class NiftiFolder(Volumes):
    """Volumes in `images/`, labels of the same names in `labels/`, of any format that is known.

    The channels of a case are in files NAME_0000, NAME_0001, .., or along the 4th axis of a file NAME.

    Args:
        root: the folder.
        name: the data set's name, as in `cases.csv`.
        classes: their names.
        background: the class left out of scores and means, or None.
        values: per class its value in the labels, or a list of them; None: the classes' indices.
        ignore: values that are neither learnt nor scored.
        channel_names: of the channels, such as [CT]; None: unknown.
        images: name of the folder of images.
        labels: name of the folder of labels.
        group_pattern: a regular expression that finds the patient in a case's name. None: each case is its own group.
        check_space: refuse an image and a label whose spacing, direction or origin differ.
    """

    source = Source(
        address="your own volumes",
        licence="yours",
        citation="yours",
        layout="images/NAME.nii.gz (or NAME_0000.nii.gz, NAME_0001.nii.gz, ..) and labels/NAME.nii.gz",
    )

    def __init__(
        self,
        root: str,
        *,
        name: str,
        classes: Sequence[str],
        background: int | None,
        values: Sequence[Value | Sequence[Value]] | None,
        ignore: Sequence[Value],
        channel_names: Sequence[str] | None,
        images: str,
        labels: str,
        group_pattern: str | None,
        check_space: bool,
    ) -> None:
        indices = list(range(len(classes))) if values is None else values
        self._mapping = LabelMapping.parse(indices, ignore, len(classes), "data.dataset.values")
        super().__init__(Path(root), check_space)
        self.name = name
        self.classes = list(classes)
        self.background = background
        self.channel_names = list(channel_names or ())
        self._folders = images, labels
        self._group_pattern = parse_pattern("data.dataset.group_pattern", group_pattern)

    @property
    def mapping(self) -> LabelMapping:
        """The values of each class."""
        return self._mapping

    @property
    def remarks(self) -> Sequence[str]:  # type: ignore[override]
        """The files that are passed over."""
        folders = [self.root / name for name in self._folders]
        left = {folder: files_left(folder, SUFFIXES) for folder in folders}
        return [
            f"passed over in {folder}, since in no known format ({len(files)}): {few(files)}"
            for folder, files in left.items()
            if files
        ]

    def records(self) -> list[Record]:
        """The cases, sorted by name."""
        images, labels = (self.root / name for name in self._folders)
        for folder in (images, labels):
            if not folder.is_dir():
                raise self.missing(folder)
        channels = files_by_case(files_by_key(images, SUFFIXES))
        found = files_by_key(labels, SUFFIXES)
        if not channels:
            raise UserError(f"{images} has no volumes: expected are {self.source.layout}")
        check_pairs({case: files[0] for case, files in channels.items()}, found, "label")
        most = max(map(len, channels.values()))
        for case, files in channels.items():
            if len(files) < most:
                full = next(name for name, others in channels.items() if len(others) == most)
                raise UserError(
                    f"the case {case} has {len(files)} channel files in {images}, such as {files[0].name}, the case"
                    f" {full} has {most}: a file is missing"
                )
        return [
            Record(case.replace("/", "_"), self._group(case), (*files, found[case])) for case, files in channels.items()
        ]

    def _group(self, case: str) -> str:
        if self._group_pattern is None:
            return case
        match = self._group_pattern.search(case)
        if match is None:
            raise UserError(
                f"data.dataset.group_pattern {self._group_pattern.pattern!r} does not match the case {case!r}: it must"
                " match every case"
            )
        return str(match[1] if self._group_pattern.groups else match[0])


def files_by_case(files: Mapping[str, Path]) -> dict[str, list[Path]]:
    """The channel files of each case, in their order.

    Raises:
        UserError: where a number is left out.
    """
    found: dict[str, dict[int, Path]] = {}
    for key, path in files.items():
        match = CHANNEL.fullmatch(key)
        case, channel = (match["case"], int(match["channel"])) if match else (key, 0)
        if channel in found.setdefault(case, {}):
            raise UserError(f"{found[case][channel]} and {path} are both channel {channel} of the case {case}")
        found[case][channel] = path
    for case, channels in found.items():
        for number in range(len(channels)):
            if number not in channels:
                raise UserError(f"{min(channels.values())}: its channel file {case}_{number:04} is missing")
    return {case: [channels[number] for number in sorted(channels)] for case, channels in sorted(found.items())}
