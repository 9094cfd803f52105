"""Data sets written as nnU-Net v2 takes them: the layout of its folder nnUNet_raw."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segbench.data.case import IGNORE, Dataset
from segbench.data.formats import decode, nifti
from segbench.data.nnunet_folds import Fold
from segbench.data.store import CaseStore, StoredCase
from segbench.errors import UserError
from segbench.system.atomic import write_atomically

VOLUMES, IMAGES = ".nii.gz", ".png"
"""The ending of the files of a data set in 3D, and in 2D."""

_PLANES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Side of the patient that an axis runs to -> axis of the patient's coordinates, and its sign."""


@dataclass(frozen=True)
class NnunetWriter:
    """The writer of one data set.

    nnU-Net's background is the label 0, and its label to be ignored the highest one. Objects, extra arrays and groups
    have no place in its layout; the last are kept by the folds.

    Attributes:
        dataset: what is written.
        store: its decoded cases.
        root: the new folder.
    """

    dataset: Dataset
    store: CaseStore
    root: Path

    @property
    def ending(self) -> str:
        """Of all files."""
        return VOLUMES if self.dataset.spatial_dims == 3 else IMAGES

    @property
    def order(self) -> list[int]:
        """The classes, the background first."""
        first = self.dataset.background or 0
        return [first, *(index for index in range(len(self.dataset.classes)) if index != first)]

    def names(self) -> dict[str, str]:
        """The name of each case in files, which has no slash.

        Raises:
            UserError: where two would have the same.
        """
        named = {record.id: record.id.replace("/", "__") for record in self.store.records}
        owner: dict[str, str] = {}
        for case, name in named.items():
            if owner.setdefault(name, case) != case:
                raise UserError(f"the cases {owner[name]} and {case} would both be called {name}: rename one of them")
        return named

    def write(self, folds: Sequence[Fold]) -> Iterator[str]:
        """Write everything, and yield the id of each case that is done.

        Args:
            folds: the content of splits_final.json.

        Raises:
            UserError: where the format cannot hold an image.
        """
        names = self.names()
        for record in self.store.records:
            part = "Ts" if record.part == "test" else "Tr"
            case, like = self.store[record.id], self._header(record.files)
            for number, content in enumerate(self._channels(case, like, record.where)):
                self._put(f"images{part}/{names[record.id]}_{number:04}{self.ending}", content)
            self._put(f"labels{part}/{names[record.id]}{self.ending}", self._encoded(self._label(case), case, like))
            yield record.id
        listed = [{part: sorted(names[case] for case in ids) for part, ids in fold._asdict().items()} for fold in folds]
        self._put("splits_final.json", (json.dumps(listed, indent=2) + "\n").encode())
        self._put("dataset.json", (json.dumps(self.description(), indent=2) + "\n").encode())

    def description(self) -> dict[str, Any]:
        """The content of dataset.json."""
        classes = list(self.dataset.classes)
        labels = {classes[index]: value for value, index in enumerate(self.order)}
        if "background" not in labels:  # nnU-Net asks for the word
            labels = {"background" if value == 0 else name: value for name, value in labels.items()}
        if any(self.store.meta(case).ignored for case in self.store.ids):
            labels["ignore"] = len(classes)
        return {
            "channel_names": self._channel_names(),
            "labels": labels,
            "numTraining": sum(record.part != "test" for record in self.store.records),
            "file_ending": self.ending,
            "name": self.dataset.name,
            "reference": self.dataset.source.citation,
            "licence": self.dataset.source.licence,
        }

    def _channel_names(self) -> Mapping[str, str]:
        known = list(self.dataset.channel_names)
        if not known and self.dataset.spatial_dims == 2 and self.dataset.channels == 3:
            known = ["R", "G", "B"]
        known += [f"channel_{number}" for number in range(len(known), self.dataset.channels)]
        return {str(number): name for number, name in enumerate(known)}

    def _put(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)

    def _label(self, case: StoredCase) -> np.ndarray:
        """The label map (*S) in nnU-Net's values."""
        values = np.zeros(256, np.uint8)
        values[self.order] = np.arange(len(self.order))
        values[IGNORE] = len(self.order)
        return np.asarray(values[np.asarray(case.label)])

    def _channels(self, case: StoredCase, like: Path | None, where: str) -> Iterator[bytes]:
        """The content of each image file: one for each channel, but one for all colours of an image."""
        image = np.asarray(case.image)
        if self.ending == VOLUMES:
            yield from (self._encoded(channel, case, like) for channel in image)
        elif len(image) == 3 and image.dtype == np.uint8:
            yield _png(np.moveaxis(image, 0, -1))
        elif image.dtype in (np.uint8, np.uint16):
            yield from map(_png, image)
        else:
            raise UserError(f"{where} has pixels of {image.dtype}: nnU-Net's 2D images are PNG, of 8 or 16 bits")

    def _header(self, files: Sequence[Path]) -> Path | None:
        """The file whose geometry a volume has to the bit, if it is a NIfTI file."""
        first = files[0] if files and self.ending == VOLUMES else None
        return first if first is not None and first.name.lower().endswith(nifti.SUFFIXES) else None

    def _encoded(self, array: np.ndarray, case: StoredCase, like: Path | None) -> bytes:
        """One channel or label (*S) as the content of a file."""
        if self.ending == IMAGES:
            return _png(array)
        if like is not None:
            suffix, content = nifti.encode_mask(array, like) or (".nii", b"")
            return content if suffix == VOLUMES else gzip.compress(content, 5, mtime=0)
        files = next(record.files for record in self.store.records if record.id == case.id)
        affine = decode(files[0]).affine if files else None
        return nifti.encode_volume(array, _affine(case) if affine is None else affine)


def _affine(case: StoredCase) -> np.ndarray:
    """(4, 4) from the axes of a volume to mm, by its spacing and the sides that its axes run to."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (side, edge) in enumerate(zip(case.meta.directions or "SAR", case.spacing, strict=True)):
        row, sign = _PLANES[side]
        affine[row, axis] = sign * edge
    return affine


def _png(array: np.ndarray) -> bytes:
    """An image (H, W) or (H, W, 3) as the content of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(array).save(content, format="PNG")
    return content.getvalue()
