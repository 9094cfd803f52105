"""The files of a folder of images: where each kind of them lies, how they are called, and which belong together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from segbench.data.case import Part
from segbench.data.folders.files import check_pairs, files_by_key
from segbench.data.folders.pairing import layout_keys, naming_keys
from segbench.data.formats import SUFFIXES
from segbench.errors import UserError

_PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class FileNames:
    """The names of one kind of files: what of a name is the case's.

    Attributes:
        suffix: what every name ends with before its extension.
        pattern: what every path below the folder, without extension, must match; its groups are the case's name.
    """

    suffix: str = ""
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, key: str, suffix: str, pattern: str | None) -> FileNames:
        """Read the keys `<key>suffix` and `<key>pattern` of a configuration.

        Raises:
            UserError: where both are given, or the pattern is none or has no group.
        """
        compiled = parse_pattern(f"{key}pattern", pattern)
        if compiled is not None and suffix:
            raise UserError(f"{key}pattern and {key}suffix are both given: a pattern says it all")
        if compiled is not None and not compiled.groups:
            raise UserError(
                f"{key}pattern {pattern!r} has no group: the case's name goes into parentheses, as in img_(.*)"
            )
        return cls(suffix, compiled)

    @property
    def plain(self) -> bool:
        """True if the whole name is the case's."""
        return not self.suffix and self.pattern is None

    @property
    def template(self) -> str:
        """The name of a file in messages, {} being the case's name."""
        if self.pattern is None:
            return "{}" + self.suffix + ".*"
        return "{} by the pattern " + self.pattern.pattern.replace("{", "{{").replace("}", "}}")

    def files(self, folder: Path) -> dict[str, Path]:
        """The files in a folder by the names of their cases, sorted.

        Raises:
            UserError: where two files are of one case, or there are files, but the pattern matches none.
        """
        files = files_by_key(folder, SUFFIXES, self.suffix, self.pattern)
        if self.pattern is not None and not files and (every := files_by_key(folder, SUFFIXES)):
            raise UserError(
                f"{folder}: the pattern {self.pattern.pattern!r} matches no path in it; it is for whole paths without "
                f"extension, such as {next(iter(every))!r}"
            )
        return files


class FolderLayout:
    """The folders and files of a data set.

    Args:
        root: the folder of all.
        folders: the name of the folder of each kind: "image", "mask", and others.
        names: how the files of each kind are called.
        parts: the folder of each part, None where they are called as usual.
    """

    def __init__(
        self,
        root: Path,
        folders: Mapping[str, str],
        names: Mapping[str, FileNames],
        parts: Mapping[str, str] | None,
    ) -> None:
        self.root = root
        self.folders = folders
        self._names = names
        for part, folder in (parts or {}).items():
            if part not in get_args(Part) or not isinstance(folder, str):
                known = ", ".join(get_args(Part))
                raise UserError(f"data.dataset.parts has {part}: {folder!r}; expected is a folder for each of {known}")
        self._parts = {folder: cast(Part, part) for part, folder in parts.items()} if parts else None

    def roots(self) -> list[tuple[Path, str, Part | None]]:
        """The folders that hold images and masks, with the beginning of their cases' ids, and their parts."""
        if self._parts is not None:
            return [(self.root / name, f"{name.replace('/', '_')}_", part) for name, part in self._parts.items()]
        if (self.root / self.folders["image"]).is_dir():
            return [(self.root, "", None)]
        folders = [(self.root / name, f"{name}_", part) for name, part in _PARTS.items()]
        return [folder for folder in folders if (folder[0] / self.folders["image"]).is_dir()]

    def files(self, root: Path, kind: str) -> dict[str, Path]:
        """The files of one kind by the names of their cases."""
        return self._names[kind].files(root / self.folders[kind])

    def check_pairs(self, root: Path, images: Mapping[str, Path], others: Mapping[str, Path], kind: str) -> None:
        """Check that every image has a file of another kind and every such file its image.

        Raises:
            UserError: naming the first file without a partner, and keys under which all have theirs, if there are any.
        """
        named = self._names["image"].template, self._names[kind].template
        check_pairs(images, others, kind, named, lambda: self._naming_hint(root))

    def layout_hint(self) -> str:
        """The end of a message: keys for what is there; empty where none fit."""
        return _that_fits(layout_keys(self.root, self.folders["image"], self.folders["mask"]))

    def _naming_hint(self, root: Path) -> str:
        if not all(self._names[kind].plain for kind in ("image", "mask")):
            return ""
        images, masks = (files_by_key(root / self.folders[kind], SUFFIXES) for kind in ("image", "mask"))
        return _that_fits(naming_keys(images, masks))


def parse_pattern(key: str, pattern: str | None) -> re.Pattern[str] | None:
    """Compile a regular expression of a configuration.

    Raises:
        UserError: where it is none.
    """
    try:
        return re.compile(pattern) if pattern is not None else None
    except re.error as error:
        raise UserError(f"{key} {pattern!r} is no regular expression: {error}") from error


def _that_fits(keys: Sequence[str]) -> str:
    return f"; what is there fits {' '.join(keys)}" if keys else ""
