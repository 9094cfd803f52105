"""Suggestions for folders whose layout or names differ from what is expected: keys of data=folder that fit."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import product
from pathlib import Path

from segbench.data.case import Part

_IMAGES = re.compile(r"im(g|age)s?|raw|frames?|inputs?|originals?", re.IGNORECASE)
_MASKS = re.compile(r"masks?|labels?|annotations?|gts?|(ground.?)?truths?|seg(mentation)?s?|targets?", re.IGNORECASE)
_PARTS: tuple[tuple[str, Part], ...] = (("train", "train"), ("test", "test"), ("val", "validation"))
_PLAIN = re.compile(r"[\w./-]+")
_TOKEN = re.compile(r"\d+|[^\W\d_]+|[\W_]")


def part_of(name: str) -> Part | None:
    """The part of a data set that the name of a folder says: train of Train_Folder."""
    return next((part for word, part in _PARTS if word in name.lower()), None)


def layout_keys(root: Path, images: str, masks: str) -> list[str]:
    """Overrides under which a folder has images and masks; none where nothing fits.

    Args:
        root: the data set's.
        images: name of the folder of images that was looked for.
        masks: name of the folder of masks that was looked for.
    """
    here = _pair(root, images, masks)
    if here is not None:
        return _renamed(here, images, masks)
    pairs = {folder.name: pair for folder in _folders(root) if (pair := _pair(folder, images, masks)) is not None}
    parts = {part_of(name): name for name in pairs}
    if not pairs or None in parts or len(parts) < len(pairs) or len(set(pairs.values())) > 1:
        return []
    if not all(_PLAIN.fullmatch(name) for name in pairs):
        return []
    listed = ", ".join(f"{part}: {name}" for part, name in parts.items())
    return [f'"data.dataset.parts={{{listed}}}"', *_renamed(next(iter(pairs.values())), images, masks)]


def naming_keys(images: Collection[str], masks: Collection[str]) -> list[str]:
    """Overrides under which every image has a mask and every mask an image; none where there are no such.

    Args:
        images: paths of the images below their folder, without extension.
        masks: likewise.
    """
    if len(images) != len(masks) or not images:
        return []
    ends = _same_ends(images, masks)
    if ends is not None:
        (before, after), (mask_before, mask_after) = ends
        if not before and not mask_before:
            given = {"image_suffix": after, "mask_suffix": mask_after}
            return [f"data.dataset.{key}={value}" for key, value in given.items() if value]
        patterns = (_around(before, "(.*)", after), _around(mask_before, "(.*)", mask_after))
    else:
        found = [pattern for names in (images, masks) if (pattern := _number_pattern(names)) is not None]
        if len(found) < 2 or _numbers(found[0], images) != _numbers(found[1], masks):
            return []
        patterns = (found[0], found[1])
    keys = zip(("image_pattern", "mask_pattern"), patterns, strict=True)
    return [f"\"data.dataset.{key}='{pattern}'\"" for key, pattern in keys]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pair(folder: Path, images: str, masks: str) -> tuple[str, str] | None:
    """The names of the folders of images and masks in a folder."""
    names = [path.name for path in _folders(folder)]
    found = [
        [expected] if expected in names else [name for name in names if kind.fullmatch(name)]
        for expected, kind in ((images, _IMAGES), (masks, _MASKS))
    ]
    return (found[0][0], found[1][0]) if all(len(kind) == 1 for kind in found) else None


def _renamed(pair: tuple[str, str], images: str, masks: str) -> list[str]:
    given = {"images": (pair[0], images), "masks": (pair[1], masks)}
    return [f"data.dataset.{key}={name}" for key, (name, expected) in given.items() if name != expected]


def _same_ends(images: Collection[str], masks: Collection[str]) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """The beginnings and ends that all images and all masks have, so that the rest of their names is the same."""
    of_images, of_masks = _rests(images), _rests(masks)
    fitting = [(of_images[rest], of_masks[rest], rest) for rest in of_images.keys() & of_masks.keys()]
    if not fitting:
        return None
    first, second, _ = min(fitting, key=lambda fit: (_ragged(fit[2]), sum(map(len, (*fit[0], *fit[1])))))
    return first, second


def _rests(names: Collection[str]) -> Mapping[frozenset[str], tuple[str, str]]:
    """The rests of names without a beginning and an end that all have, by what can be cut off."""
    before = _common(min(names), max(names))
    turned = [name[::-1] for name in names]
    after = _common(min(turned), max(turned))
    shortest = min(map(len, names))
    rests: dict[frozenset[str], tuple[str, str]] = {}
    for begin, end in product(_cuts(before), _cuts(after)):
        if begin + end < shortest:
            rest = frozenset(name[begin : len(name) - end] for name in names)
            rests.setdefault(rest, (before[:begin], after[:end][::-1]))
    return rests


def _common(first: str, second: str) -> str:
    """The common beginning of two texts, which all texts between them have, too."""
    count = next(
        (k for k, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
    return first[:count]


def _cuts(text: str) -> list[int]:
    """The lengths at which a beginning may be cut off: 0, and after each word or number."""
    return [0, *(match.end() for match in _TOKEN.finditer(text))]


def _ragged(rest: Iterable[str]) -> bool:
    """True if names would begin or end with a separator."""
    return any(not name[0].isalnum() or not name[-1].isalnum() for name in rest)


def _around(before: str, middle: str, after: str) -> str:
    return f"{re.escape(before)}{middle}{re.escape(after)}"


def _number_pattern(names: Collection[str]) -> str | None:
    """A pattern for the number that tells names apart, the last or the first in each; None where none does."""
    for general in (r".*?(\d+)\D*", r"\D*(\d+).*"):
        if _numbers(general, names) is None:
            continue
        matches = [match for name in names if (match := re.fullmatch(general, name))]
        around = {(name[: match.start(1)], name[match.end(1) :]) for name, match in zip(names, matches, strict=True)}
        (before, after), *others = around
        return general if others else _around(before, r"(\d+)", after)
    return None


def _numbers(pattern: str, names: Collection[str]) -> frozenset[int] | None:
    """The numbers that a pattern finds; None where a name has none, or two names the same."""
    found = [match for name in names if (match := re.fullmatch(pattern, name))]
    numbers = frozenset(int(match[1]) for match in found)
    return numbers if len(numbers) == len(names) else None
