"""The places that a comparison takes its methods from: folders of runs, masks of any tool, tables of scores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["runs", "wandb", "masks", "instances", "nnunet", "table"]

MASKS: tuple[Kind, ...] = ("masks", "instances")
"""Kinds of folders that hold a mask for each case."""

_PREFIXES: dict[str, Kind] = {"masks": "masks", "instances": "instances", "nnunet": "nnunet", "scores": "table"}
_PREFIXED = re.compile(rf"(?:(?P<name>[^=:/\\]+)=)?(?P<kind>{'|'.join(_PREFIXES)}):(?P<path>.+)", re.DOTALL)
_FILE = re.compile(r"(?:(?P<name>[^=:/\\]+)=)?(?P<path>.+\.(?:json|tsv|csv))", re.DOTALL)
_WANDB = "wandb:"


@dataclass(frozen=True)
class Place:
    """One entry of `runs`.

    Attributes:
        text: as it was given.
        kind: of what is there.
        path: a folder, a file or a glob; of wandb an address.
        name: of the method, None: what the place itself is called.
    """

    text: str
    kind: Kind
    path: str
    name: str | None = None

    @property
    def folder(self) -> Path:
        """The path, with ~ for the home."""
        return Path(self.path).expanduser()

    @property
    def anywhere(self) -> str:
        """The entry with its whole path, which is right in any folder."""
        return self.text.removesuffix(self.path) + str(self.folder.absolute())


def parse_place(text: str) -> Place:
    """The place that an entry such as "sweeps/A", "swin=masks:out/swin" or "summary.json" names."""
    if text.startswith(_WANDB):
        return Place(text, "wandb", text.removeprefix(_WANDB))
    if match := _PREFIXED.fullmatch(text):
        return Place(text, _PREFIXES[match["kind"]], match["path"], match["name"])
    if match := _FILE.fullmatch(text):
        whole = match["name"] is None or Path(text).expanduser().exists()
        return Place(text, "table", text) if whole else Place(text, "table", match["path"], match["name"])
    return Place(text, "runs", text)


def of_kinds(texts: Iterable[str], *kinds: Kind) -> list[Place]:
    """The places of some kinds, in their order."""
    return [place for place in map(parse_place, texts) if place.kind in kinds]
