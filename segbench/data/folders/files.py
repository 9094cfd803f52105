"""Folders and files of a data set, before any of them is read as an image."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from segbench.errors import UserError

_NO_DATA = {"@eaDir", "__MACOSX", "Thumbs.db", "desktop.ini"}
"""Folders and files of operating systems and network drives; they hold thumbnails, among others."""

_SLICES = (".dcm", ".ima", ".dicom")
"""Suffixes of the slices of a DICOM series."""


def files_by_key(
    folder: Path, extensions: Iterable[str], ending: str = "", pattern: re.Pattern[str] | None = None
) -> dict[str, Path]:
    """Find the files with one of the extensions below a folder, subfolders and linked folders included.

    A folder with the slices of a DICOM series counts as a file.

    Args:
        folder: where to look; hidden files and folders, and those of operating systems, are passed over.
        extensions: lower-case, with the dot; a file's own may be upper-case.
        ending: what every file name must end with before its extension; others are passed over.
        pattern: what every path below `folder`, without extension, must match; others are passed over.

    Returns:
        The files by key, sorted: the path below `folder` with "/" between folders, without `ending` and
        extension. `a/b_mask.png` has the key `a/b` where `ending` is `_mask`. With a pattern, what its groups found.

    Raises:
        UserError: where two files have the same key, a link leads nowhere, or a folder cannot be read.
    """
    found: dict[str, Path] = {}
    extensions = tuple(extensions)
    for path in _files(folder):
        stem = path.name if path.is_dir() else stem_of(path.name, extensions)
        if stem is None or not stem.endswith(ending):
            continue
        if path.is_symlink() and not path.exists():
            raise UserError(f"{path} is a link to {path.readlink()}, which is not there")
        key = (path.relative_to(folder).parent / stem.removesuffix(ending)).as_posix()
        if pattern is not None:
            match = pattern.fullmatch(key)
            if match is None:
                continue
            key = name_of(match)
        if key in found and pattern is not None:
            raise UserError(f"the pattern {pattern.pattern!r} finds the same name, {key!r}, in {found[key]} and {path}")
        if key in found:
            raise UserError(f"{found[key]} and {path} have the same name but for the extension: keep one of them")
        found[key] = path
    return dict(sorted(found.items()))


def files_left(folder: Path, extensions: Iterable[str]) -> list[Path]:
    """The files below a folder, in the order of their paths, that have none of the extensions."""
    extensions = tuple(extensions)
    return sorted(path for path in _files(folder) if not path.is_dir() and stem_of(path.name, extensions) is None)


def is_series(folder: Path) -> bool:
    """Return whether a folder holds the slices of a DICOM series, by their suffix or, without one, by their content."""
    if not folder.is_dir():
        return False
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    if any(path.suffix.lower() in _SLICES for path in files):
        return True
    bare = next((path for path in files if not path.suffix or path.suffix[1:].isdecimal()), None)
    if bare is None:
        return False
    with bare.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def few(paths: Sequence[Path], most: int = 3) -> str:
    """The names of the first paths, for people: "a.txt, b.txt and 5 more"."""
    names = ", ".join(path.name for path in paths[:most])
    return names + (f" and {len(paths) - most} more" if len(paths) > most else "")


def stem_of(name: str, extensions: Iterable[str]) -> str | None:
    """A file name without its extension, the longest that fits; None where none of them does."""
    fitting = [extension for extension in extensions if name.lower().endswith(extension)]
    return name[: -max(map(len, fitting))] if fitting else None


def name_of(match: re.Match[str]) -> str:
    """The name that a pattern finds: its groups, joined by _; digits are a number, 012 is 12."""
    return "_".join(str(int(group)) if group.isdecimal() else group for group in match.groups() if group is not None)


def _files(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """The files below a folder; a link to a folder that it lies in is not followed."""
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _NO_DATA:
            continue
        if entry.is_dir() and is_series(Path(entry.path)):
            yield Path(entry.path)
        elif entry.is_dir():
            yield from _files(Path(entry.path), above | {real})
        else:
            yield Path(entry.path)


def check_pairs(
    images: Mapping[str, Path],
    others: Mapping[str, Path],
    other: str,
    named: tuple[str, str] = ("{}.*", "{}.*"),
    remedy: Callable[[], str] = str,
) -> None:
    """Check that every image has its mask and every mask its image.

    Args:
        images: files by key.
        others: files by key.
        other: what `others` are, for the message: "mask".
        named: how the files of an image and of another are called, {} being their key.
        remedy: the end of the message.

    Raises:
        UserError: naming the first file that has no partner.
    """
    unpaired = (images.keys() - others.keys(), other, named[1]), (others.keys() - images.keys(), "image", named[0])
    for alone, partner, pattern in unpaired:
        if alone:
            first = min(alone)
            path = (images if partner == other else others)[first]
            more = f" (nor have {len(alone) - 1} more files)" if len(alone) > 1 else ""
            raise UserError(
                f"{path} has no {partner}{more}: a file named {pattern.format(first)} is expected{remedy()}"
            )
