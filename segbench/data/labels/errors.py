"""Pixel values of masks that mean nothing: of one mask, and of all masks of a data set at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segbench.data.folders.files import few
from segbench.data.labels.grey_values import GREY_VALUES, MANY, main_values, ranges_around
from segbench.errors import UserError

if TYPE_CHECKING:
    from segbench.data.labels.pixel_values import LabelMapping


class UnknownValuesError(UserError):
    """A mask has values that no class has.

    Args:
        path: of the mask.
        mapping: what is known.
        pixels: how many pixels have each value of the mask.
        lossy: what is to be said of a format that changes values; empty for another format.
    """

    def __init__(self, path: Path, mapping: LabelMapping, pixels: Mapping[int, int], lossy: str) -> None:
        self.path, self.mapping, self.pixels, self.lossy = path, mapping, pixels, lossy
        self.strange = {value: count for value, count in pixels.items() if value not in mapping.known}
        names = mapping.named(list(self.strange), MANY)
        super().__init__(
            f"{path} has the label value{'s' if len(self.strange) > 1 else ''} {names}, which no class has, in "
            f"{sum(self.strange.values())} of {sum(pixels.values())} pixels: known are "
            f"{mapping.named(sorted(mapping.known), MANY)}; {_remedy(mapping, self.strange, pixels, lossy)}"
        )


def together(errors: Sequence[UserError]) -> UserError:
    """All errors of a data set's cases as one: each value without a meaning is named once, with its counts.

    Args:
        errors: of at least one case.
    """
    if len(errors) == 1:
        return UserError(str(errors[0]))
    unknown = [error for error in errors if isinstance(error, UnknownValuesError)]
    others = [error for error in errors if not isinstance(error, UnknownValuesError)]
    texts = [str(error) for error in others[:MANY]]
    if len(others) > MANY:
        texts.append(f"and {len(others) - MANY} more files are wrong")
    if len(unknown) == 1:
        texts.append(str(unknown[0]))
    elif unknown:
        texts.append(_summary(unknown))
    return UserError("; ".join(texts))


def _summary(errors: Sequence[UnknownValuesError]) -> str:
    mapping = errors[0].mapping
    strange: Counter[int] = Counter()
    for error in errors:
        strange.update(error.strange)
    described = []
    for value, pixels in sorted(strange.items())[:MANY]:
        masks = [error.path for error in errors if value in error.strange]
        described.append(f"{mapping.named([value])} in {pixels} pixels of {len(masks)} ({few(masks)})")
    more = f", and {len(strange) - MANY} more values" if len(strange) > MANY else ""
    found: Counter[int] = Counter()
    for error in errors:
        found.update(error.pixels)
    lossy = next((error.lossy for error in errors if error.lossy), "")
    return (
        f"{len(errors)} masks have label values that no class has: {', '.join(described)}{more}; known are "
        f"{mapping.named(sorted(mapping.known), MANY)}; {_remedy(mapping, list(strange), found, lossy)}"
    )


def _remedy(
    mapping: LabelMapping, strange: Sequence[int] | Mapping[int, int], found: Mapping[int, int], lossy: str
) -> str:
    """The end of a message: what to paste, where the meaning of values is a setting.

    Args:
        mapping: what is known.
        strange: values that are not.
        found: how many pixels have each value.
        lossy: what is to be said of a format that changes values; empty for another format.
    """
    if mapping.key is None:
        return lossy or mapping.hint
    main = None if mapping.colours else main_values(found, len(mapping.classes))
    if lossy and len(mapping.classes) == 2 and not mapping.colours:
        main = [0, 255]
    if main is not None:
        reason = lossy or f"{GREY_VALUES}: save the masks without them"
        return f'{reason}, or say where one class ends: "{mapping.key}={mapping.listed(ranges_around(main))}"'
    if lossy:
        return lossy
    if len(strange) > MANY:
        return f"{mapping.hint}; so many values are no classes: is this a picture, or are its edges smoothed?"
    if len(found) == len(mapping.classes):
        return (
            f'{mapping.hint}: "{mapping.key}={mapping.listed([[value] for value in sorted(found)])}" if in this order'
        )
    ignored = f"{mapping.key.rpartition('.')[0]}.ignore"
    rest = mapping.listed([[value] for value in sorted({*mapping.ignore, *strange})])
    values = [list(entry) for entry in mapping.classes]
    values[-1] += sorted(strange)
    last = f'"{mapping.key}={mapping.listed(values)}"'
    return f'{mapping.hint}, such as the last, {last}, or leave it out: "{ignored}={rest}"'
