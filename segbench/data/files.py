"""Folders and files of a data set, before any of them is read as an image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from segbench.errors import UserError


def files_by_key(folder: Path, extensions: Iterable[str], ending: str = "") -> dict[str, Path]:
    """Find the files with one of the extensions below a folder, subfolders included.

    Args:
        folder: where to look; hidden files and folders are passed over.
        extensions: lower-case, with the dot; a file's own may be upper-case.
        ending: what every file name must end with before its extension; others are passed over.

    Returns:
        The files by key, sorted: the path below `folder` with "/" between folders, without `ending` and
        extension. `a/b_mask.png` has the key `a/b` where `ending` is `_mask`.

    Raises:
        UserError: where two files have the same key.
    """
    found: dict[str, Path] = {}
    extensions = tuple(extensions)
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(directory).relative_to(folder)
        for name in names:
            stem, extension = os.path.splitext(name)
            if name.startswith(".") or extension.lower() not in extensions or not stem.endswith(ending):
                continue
            key = (below / stem.removesuffix(ending)).as_posix()
            if key in found:
                raise UserError(
                    f"{found[key]} and {Path(directory) / name} have the same name but for the extension: "
                    "keep one of them"
                )
            found[key] = Path(directory) / name
    return dict(sorted(found.items()))


def check_pairs(
    images: Mapping[str, Path], others: Mapping[str, Path], other: str, named: tuple[str, str] = ("{}.*", "{}.*")
) -> None:
    """Check that every image has its mask and every mask its image.

    Args:
        images: files by key.
        others: files by key.
        other: what `others` are, for the message: "mask".
        named: how the files of an image and of another are called, {} being their key.

    Raises:
        UserError: naming the first file that has no partner.
    """
    unpaired = (images.keys() - others.keys(), other, named[1]), (others.keys() - images.keys(), "image", named[0])
    for alone, partner, pattern in unpaired:
        if alone:
            first = min(alone)
            path = (images if partner == other else others)[first]
            more = f" (nor have {len(alone) - 1} more files)" if len(alone) > 1 else ""
            raise UserError(f"{path} has no {partner}{more}: a file named {pattern.format(first)} is expected")
