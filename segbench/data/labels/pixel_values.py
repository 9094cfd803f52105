"""The meaning of a mask's pixel values: the class of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from segbench.data.case import IGNORE, shape_text
from segbench.data.formats import as_mask, decode
from segbench.data.formats.reader import LOSSY
from segbench.data.labels.errors import UnknownValuesError
from segbench.errors import UserError

Value: TypeAlias = int | str
"""A pixel value, values from one to another such as "128-255", or a colour such as "#ff0000"."""

_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")


@dataclass(frozen=True)
class LabelMapping:
    """Pixel values of masks, by class.

    Attributes:
        classes: the values of each class; index = class.
        ignore: the values of pixels that are neither learnt nor scored.
        colours: whether the values are colours, 0xRRGGBB.
        hint: what a user can do about a value that is not here.
        key: the configuration's key for the values, None where they are no setting.
    """

    classes: tuple[tuple[int, ...], ...]
    ignore: tuple[int, ...] = ()
    colours: bool = False
    hint: str = "the file is damaged or of another data set"
    key: str | None = None

    @classmethod
    def parse(
        cls, values: Sequence[Value | Sequence[Value]], ignore: Sequence[Value], class_count: int, key: str
    ) -> LabelMapping:
        """Read a mapping from a configuration.

        Args:
            values: per class its pixel value or values; numbers and ranges of them such as "128-255", or colours such
                as "#ff0000".
            ignore: values of pixels to ignore.
            class_count: how many classes there are.
            key: the configuration's key, for messages.

        Raises:
            UserError: where classes and values differ in number, two classes share a value, or numbers and
                colours are mixed.
        """
        entries = [[entry] if isinstance(entry, int | str) else list(entry) for entry in values]
        if len(entries) != class_count:
            raise UserError(f"{key} has {len(entries)} entries; {class_count} classes need one each")
        every = [value for entry in [*entries, ignore] for value in entry]
        named = [isinstance(value, str) and _RANGE.fullmatch(value) is None for value in every]
        colours = any(named)
        if colours and not all(named):
            raise UserError(f"{key} mixes numbers and colours: give either for all classes")
        parsed = [tuple(one for value in entry for one in _parse(value, key)) for entry in [*entries, ignore]]
        flat = [value for entry in parsed for value in entry]
        if len(set(flat)) < len(flat):
            twice = next(value for value in flat if flat.count(value) > 1)
            raise UserError(f"{key} has {_text(twice, colours)} twice: a value can mean one class only")
        return cls(tuple(parsed[:-1]), parsed[-1], colours, f"give it to a class in {key}", key)

    def read(self, path: Path) -> np.ndarray:
        """Read a mask file as a label (*S) uint8.

        Raises:
            UserError: where the file cannot be read or has a value that is not in the mapping.
        """
        mask = decode(path)
        return self.apply(as_mask(mask, path, self.colours), path, mask.lossy)

    def apply(self, mask: np.ndarray, path: Path, lossy: bool = False) -> np.ndarray:
        """Map a mask's pixel values to classes.

        Args:
            mask: (*S) integer.
            path: the mask's file, for the message.
            lossy: whether the file's format changes values, for the message.

        Returns:
            (*S) uint8, 255 = ignore.

        Raises:
            UserError: where values are not in the mapping: all of them, and how many pixels have them.
        """
        known = self.known
        values, counts = np.unique(mask, return_counts=True)
        if not np.isin(values, list(known)).all():
            pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
            raise UnknownValuesError(path, self, pixels, LOSSY if lossy else "")
        table = np.zeros(max(known) + 1, np.uint8)
        table[list(known)] = list(known.values())
        return np.asarray(table[mask])

    @property
    def known(self) -> dict[int, int]:
        """The class of each value, 255 of ignored ones."""
        known = {value: index for index, values in enumerate(self.classes) for value in values}
        return known | dict.fromkeys(self.ignore, IGNORE)

    def named(self, values: Sequence[int], most: int | None = None) -> str:
        """Values for a message: "7, 9 and 3 more"."""
        names = ", ".join(_text(value, self.colours) for value in values[:most])
        return names + (f" and {len(values) - most} more" if most is not None and len(values) > most else "")

    def listed(self, entries: Sequence[Sequence[int]]) -> str:
        """Values as in a configuration: "[0,[1,7]]"."""
        texts = [
            [f"'{_text(value, True)}'" for value in entry] if self.colours else list(_spans(entry)) for entry in entries
        ]
        return f"[{','.join(entry[0] if len(entry) == 1 else f'[{chr(44).join(entry)}]' for entry in texts)}]"


def ignore_outside(label: np.ndarray, field: np.ndarray, label_file: Path, field_file: Path) -> np.ndarray:
    """Return a label (*S) that is 255, ignored, outside a field of view: where `field` (*S) is 0.

    Args:
        label: of the image.
        field: of the same size.
        label_file: for the message.
        field_file: likewise.

    Raises:
        UserError: where the sizes differ.
    """
    if label.shape != field.shape:
        raise UserError(
            f"{field_file} is {shape_text(field.shape)}, but {label_file} is {shape_text(label.shape)}: "
            "both must have the same size"
        )
    return np.where(field == 0, np.uint8(IGNORE), label)


def _parse(value: Value, key: str) -> Sequence[int]:
    """A number, the numbers of a range, or a colour as 0xRRGGBB."""
    if isinstance(value, int) and value >= 0:
        return [value]
    if isinstance(value, str) and (match := _RANGE.fullmatch(value)) is not None and int(match[1]) < int(match[2]):
        return range(int(match[1]), int(match[2]) + 1)
    if isinstance(value, str) and len(value) == 7 and value.startswith("#"):
        try:
            return [int(value[1:], 16)]
        except ValueError:
            pass
    raise UserError(
        f"{key} has {value!r}: expected is a number from 0 on, a range such as '128-255', or a colour such as '#ff0000'"
    )


def _spans(values: Sequence[int]) -> Iterator[str]:
    """Numbers for a configuration, three and more that follow each other as a range."""
    rest = sorted(values)
    while rest:
        count = next((k for k, value in enumerate(rest) if value != rest[0] + k), len(rest))
        yield from [f"'{rest[0]}-{rest[count - 1]}'"] if count > 2 else map(str, rest[:count])
        rest = rest[count:]


def _text(value: int, colours: bool) -> str:
    return f"#{value:06x}" if colours else str(value)
