"""BACH (ICIAR 2018), part B: whole slides of breast tissue with annotated regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segbench.data.case import Case, Dataset, Record, Source
from segbench.data.folders.files import files_by_key
from segbench.data.labels.contours import Contour, paint, read_contours
from segbench.data.slides import SLIDE_EXTENSIONS, read_slide
from segbench.errors import UserError

_NAMES = {"benign": 1, "in situ": 2, "invasive": 3}
"""The words in a region's name, in lower case, and its class."""


class Bach(Dataset):
    """Slides of some 40,000 x 60,000 pixels, read at a fraction of their size: one case each.

    A region that no contour encloses is normal: this includes glass. Slides without contours are left out.

    Args:
        root: the folder.
        folder: the folder below it with the slides and their contours.
        downsample: how many times smaller than the slide a case is. At 8 a slide takes some 110 MB of the
            cache, at 1 some 7 GB.
    """

    name = "bach"
    classes = ("normal", "benign", "in situ", "invasive")
    channels = 3
    source = Source(
        address="https://zenodo.org/records/3632035 (challenge: https://iciar2018-challenge.grand-challenge.org)",
        licence="CC BY-NC-ND 4.0",
        citation="Aresta et al. 2019, Medical Image Analysis 56:122-139",
        layout="WSI/NAME.svs and, for the annotated slides, WSI/NAME.xml (Aperio ImageScope)",
    )
    remarks = (
        "what no contour encloses is normal, glass too",
        "where contours overlap, the one that comes later in the file has the pixel",
        "distances are in pixels of the reduced slide",
    )

    def __init__(self, root: str, folder: str, downsample: int) -> None:
        if downsample < 1:
            raise UserError(f"data.dataset.downsample is {downsample}: at least 1 is expected")
        self.folder = Path(root) / folder
        self.downsample = downsample
        self.published = {"": 10}  # labelled slides, as recalled: not verified

    def records(self) -> list[Record]:
        """One case for each slide with contours, sorted by name."""
        if not self.folder.is_dir():
            raise self.missing(self.folder)
        slides = files_by_key(self.folder, SLIDE_EXTENSIONS)
        contours = files_by_key(self.folder, [".xml"])
        if not contours:
            raise self.missing(self.folder / "NAME.xml")
        for name, path in contours.items():
            if name not in slides:
                known = ", ".join(SLIDE_EXTENSIONS)
                raise UserError(
                    f"{path} has no slide: expected is {name} with one of the extensions {known}; another format "
                    "must be converted to a tiled TIFF file"
                )
        return [Record(name.replace("/", "_"), name, (slides[name], path)) for name, path in contours.items()]

    def load(self, record: Record) -> Case:
        """Read one slide at its reduced size and fill its contours."""
        slide_file, contour_file = record.files
        contours = read_contours(contour_file)
        values = [_class(contour, contour_file) for contour in contours]
        slide = read_slide(slide_file, self.downsample)
        height, width = slide.image.shape[1:]
        label = paint(contours, values, (height, width), slide.scale).astype(np.uint8)
        return Case(record.id, slide.image, label, (1.0, 1.0), record.group)

    def settings(self) -> dict[str, object]:
        """The size of the cases."""
        return {"downsample": self.downsample}


def _class(contour: Contour, path: Path) -> int:
    if contour.hole:
        return 0
    for name, value in _NAMES.items():
        if name in contour.name.lower():
            return value
    raise UserError(
        f"{path} has a region called {contour.name!r}: expected is a name with one of the words {', '.join(_NAMES)}"
    )
