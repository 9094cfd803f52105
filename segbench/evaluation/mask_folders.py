"""Folders of masks by any tool, and their scores against references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segbench.data.case import shape_text
from segbench.data.formats import as_instances, as_mask, decode
from segbench.data.formats.reader import LOSSY, Decoded
from segbench.data.formats.space import check_same_space
from segbench.data.labels.grey_values import GREY_VALUES, main_values, ranges_around
from segbench.data.labels.palettes import Palettes
from segbench.data.labels.pixel_values import LabelMapping, Value
from segbench.errors import UserError
from segbench.evaluation.scoring import Row, Scorer


@dataclass(frozen=True)
class Mask:
    """The mask of one case.

    Attributes:
        path: its file.
        label: class of each pixel (*S) uint8.
        instances: object of each pixel (*S) int32, 0 = background; None where values are no objects.
        decoded: the file's content.
    """

    path: Path
    label: np.ndarray
    instances: np.ndarray | None
    decoded: Decoded


class MaskFolder:
    """The masks of one folder.

    Args:
        files: by case.
        mapping: of pixel values to classes; None: every value is an object.
        given: whether the user has said which values are which class.
        divide: makes objects of a label; None: masks of classes have no objects.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        mapping: LabelMapping | None,
        given: bool = True,
        divide: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.files = files
        self._mapping = mapping
        self._palettes = Palettes("values", given)
        self._divide = divide

    def __getitem__(self, case: str) -> Mask:
        """The mask of a case.

        Raises:
            UserError: where it cannot be read, or has a value that is no class.
        """
        path = self.files[case]
        decoded = decode(path)
        if self._mapping is None:
            instances = as_instances(decoded, path)
            return Mask(path, (instances > 0).astype(np.uint8), instances, decoded)
        if not self._mapping.colours:
            self._palettes.check(decoded, path)
        label = self._mapping.apply(as_mask(decoded, path, self._mapping.colours), path, decoded.lossy)
        return Mask(path, label, None if self._divide is None else self._divide(label), decoded)


@dataclass(frozen=True)
class Reference:
    """The reference of one case.

    Attributes:
        case: its name.
        label: class of each pixel (*S), 255 = ignore.
        instances: object of each pixel (*S), or None.
        spacing: size of a pixel along each axis of S.
        group: what must not be split.
        mask: the file that it is from; None where it is of a data set.
    """

    case: str
    label: np.ndarray
    instances: np.ndarray | None
    spacing: Sequence[float]
    group: str
    mask: Mask | None = None


def score_folders(
    folders: Mapping[str, MaskFolder], references: Iterable[Reference], scorer: Scorer
) -> dict[str, list[Row]]:
    """The rows of each folder: of the cases of which it has a mask.

    Raises:
        UserError: where a mask is not of the size of its reference, or lies elsewhere.
    """
    rows: dict[str, list[Row]] = {name: [] for name in folders}
    for reference in references:
        case = {"label": reference.label, "instances": reference.instances, "spacing": reference.spacing,
                "case_id": reference.case, "group": reference.group}  # fmt: skip
        for name, folder in folders.items():
            if reference.case in folder.files:
                mask = folder[reference.case]
                _check(mask, reference)
                rows[name] += scorer(mask.label, mask.instances, case)
    return rows


def _check(mask: Mask, reference: Reference) -> None:
    """Check that a mask lies on its reference."""
    known = reference.mask
    if known is not None and known.decoded.orientation != mask.decoded.orientation:
        raise UserError(
            f"viewers turn {mask.path} (EXIF orientation {mask.decoded.orientation}), but not its reference"
            f" {known.path} ({known.decoded.orientation}) with it: save both in one way"
        )
    if mask.label.shape != reference.label.shape:
        sizes = shape_text(mask.label.shape), shape_text(reference.label.shape)
        where = f"its reference {known.path}" if known is not None else f"case {reference.case} of the data set"
        raise UserError(f"{mask.path} is {sizes[0]}, {where} is {sizes[1]}")
    if known is not None:
        check_same_space(mask.decoded, mask.path, known.decoded, known.path, "resample one of them to the other")
        return
    said = None if mask.decoded.affine is None else mask.decoded.spacing
    if said is not None and not np.allclose(said, reference.spacing, rtol=1e-3):
        texts = [" x ".join(f"{size:g}" for size in sizes) for sizes in (said, reference.spacing)]
        raise UserError(
            f"{mask.path} has voxels of {texts[0]} mm, case {reference.case} of the data set of {texts[1]} mm: resample"
            " one of them to the other"
        )


def value_mapping(
    values: Sequence[Value | Sequence[Value]] | None,
    classes: Sequence[str] | None,
    references: Mapping[str, Path],
    predictions: Iterable[Path],
    folder: str,
) -> tuple[LabelMapping, Sequence[str]]:
    """Pixel values and names of the classes: as given, else every value of the references.

    Where these are empty, what is predicted is a class that none of them has; there always is one.

    Args:
        values: of each class, or None.
        classes: names, or None.
        references: files of the references.
        predictions: files of the masks that are scored.
        folder: of the references, for messages.

    Raises:
        UserError: where values and classes do not fit, or values look like smoothed edges.
    """
    if values is not None:
        names = classes or [f"class_{index}" for index in range(len(values))]
        return LabelMapping.parse(values, (), len(names), "values"), list(names)
    if classes is not None:
        return consecutive(len(classes)), list(classes)
    pixels: Counter[int] = Counter()
    for path in references.values():
        pixels.update(_values(path))
    _check_no_grey_values(pixels, folder)
    found = sorted(pixels)
    if found == [0]:
        found = sorted({0}.union(*map(_values, predictions)))
        found = found if len(found) > 1 else [0, 1]
    hint = "no reference has it: say which values are which class, such as 'values=[0,[1,255]]'"
    return LabelMapping(tuple((value,) for value in found), hint=hint), [f"class_{value}" for value in found]


def consecutive(count: int) -> LabelMapping:
    """Masks whose pixel values are the class indices."""
    return LabelMapping(tuple((index,) for index in range(count)))


def _values(path: Path) -> dict[int, int]:
    """The values of a mask, and how many pixels have each; where the format may have changed them, two are believed."""
    mask = decode(path)
    values, counts = np.unique(as_mask(mask, path), return_counts=True)
    if mask.lossy and len(values) > 2:
        raise UserError(f"{path} has {len(values)} values: {LOSSY}{_ranges([0, 255] if values[-1] > 127 else None)}")
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _check_no_grey_values(pixels: Mapping[int, int], folder: str) -> None:
    """Check that the values of masks are classes, and no smoothed edges.

    Raises:
        UserError: where they are not.
    """
    main = main_values(pixels, 2)
    if main is not None:
        share = 100 * (1 - sum(pixels[value] for value in main) / sum(pixels.values()))
        raise UserError(
            f"reference={folder}: {share:.2g} % of the pixels have {len(pixels) - 2} values between {main[0]} and"
            f" {main[1]}; {GREY_VALUES}: save the masks without them{_ranges(main)}; if they are classes, name all:"
            " classes=[..]"
        )


def _ranges(main: Sequence[int] | None) -> str:
    """The way to read masks with grey values all the same, as the end of a message."""
    if main is None:
        return ""
    return f', or say where one class ends: "values={LabelMapping(()).listed(ranges_around(main))}"'
