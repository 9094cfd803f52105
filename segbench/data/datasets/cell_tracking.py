"""Cell Tracking Challenge: cells in time-lapse microscopy, 2D."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Part, Record, Source
from segbench.data.formats import read_image, read_mask
from segbench.errors import UserError

_TRUTHS = {"gold": "GT", "silver": "ST"}


class CellTracking(Dataset):
    """The annotated frames of one of the challenge's 2D data sets, such as PhC-C2DH-U373 or DIC-C2DH-HeLa.

    Gold truth (by people) has few frames of a sequence, silver truth (agreed upon by programs) nearly all.
    Frames without one are left out. Frames of a sequence look alike: whole sequences are the test cases,
    and runs of neighbouring frames the groups of the folds.

    Args:
        root: the folder with the data sets.
        folder: the data set's folder below it; also its name in `cases.csv`.
        truth: "gold" or "silver".
        sequences: which ones are read, such as ["01", "02"].
        test: the sequences that test; none: tested by folds.
        block_size: how many annotated frames in a row form a group, or None: a whole sequence is a group.
    """

    classes = ("background", "cell")
    channels = 1
    has_instances = True
    source = Source(
        address="https://celltrackingchallenge.net/2d-datasets/ (the training data sets)",
        licence="free for use related to the challenge; other scientific use needs the data provider's permission, "
        "commercial use an explicit one",
        citation="Maška et al. 2023, Nature Methods 20:1010-1020; Ulman et al. 2017, Nature Methods 14:1141-1152",
        layout="PhC-C2DH-U373/01/tNNN.tif, PhC-C2DH-U373/01_GT/SEG/man_segNNN.tif (gold truth) and "
        "01_ST/SEG/man_segNNN.tif (silver truth), and 02 likewise",
    )

    def __init__(
        self,
        root: str,
        *,
        folder: str,
        truth: str,
        sequences: Sequence[str],
        test: Sequence[str],
        block_size: int | None,
    ) -> None:
        if truth not in _TRUTHS:
            raise UserError(f"data.dataset.truth is {truth!r}: expected is one of {', '.join(_TRUTHS)}")
        if not set(test) < set(sequences):
            raise UserError(
                f"data.dataset.test is {list(test)}: it must name some, not all, of data.dataset.sequences, "
                f"which are {list(sequences)}"
            )
        if block_size is not None and block_size < 1:
            raise UserError(f"data.dataset.block_size is {block_size}: at least 1, or null, is expected")
        self.folder = Path(root) / folder
        self.name = folder
        self.truth = truth
        self.sequences = list(sequences)
        self.test = list(test)
        self.block_size = block_size
        self.remarks = (
            f"{truth} truth; frames that have none are left out",
            "a frame that has one is taken to be annotated completely: what it leaves out is background",
        )

    def records(self) -> list[Record]:
        """One case for each annotated frame, in the order of time."""
        return [record for sequence in self.sequences for record in self._sequence_records(sequence)]

    def _sequence_records(self, sequence: str) -> list[Record]:
        images = self._frames(self.folder / sequence, r"t(\d+)\.tif")
        masks = self._frames(self.folder / f"{sequence}_{_TRUTHS[self.truth]}" / "SEG", r"man_seg(\d+)\.tif")
        part: Part | None = None
        if self.test:
            part = "test" if sequence in self.test else "train"
        times = sorted(masks)
        block_size = self.block_size or len(times)
        records = []
        for index, time in enumerate(times):
            if time not in images:
                raise UserError(f"{masks[time]} has no image: expected is {self.folder / sequence}/t*{time}.tif")
            block = times[index // block_size * block_size :][:block_size]
            group = f"{sequence}_{block[0]:03}_to_{block[-1]:03}"
            records.append(Record(f"{sequence}_{time:03}", group, (images[time], masks[time]), part))
        return records

    def _frames(self, folder: Path, pattern: str) -> dict[int, Path]:
        """The files of a folder that match, by time."""
        if not folder.is_dir():
            raise self.missing(folder)
        matches = [(re.fullmatch(pattern, path.name), path) for path in folder.iterdir()]
        frames = {int(match[1]): path for match, path in matches if match is not None}
        if not frames:
            raise self.missing(folder / pattern.replace(r"(\d+)\.", "NNN."))
        return frames

    def load(self, record: Record) -> Case:
        """Read one frame and its cells."""
        image, truth = record.files
        instances = read_mask(truth).astype(np.int32)
        label = (instances > 0).astype(np.uint8)
        return Case(record.id, read_image(image), label, (1.0, 1.0), record.group, instances)
