"""The publications that a comparison rests on, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

_ENTRY = re.compile(r"^@\w+\{(?P<key>[^,]+), .*? usedfor = \{(?P<uses>[^}]*)\}\}$", re.MULTILINE)
_FIELD = re.compile(r"(?<=[}\"]), (?=[a-z]+ = \{)")


@dataclass(frozen=True)
class Reference:
    """A publication.

    Attributes:
        key: by which a text cites it.
        uses: for what: dotted paths, or parts of them, and words of the methods text.
        entry: in BibTeX.
    """

    key: str
    uses: tuple[str, ...]
    entry: str


@cache
def references() -> tuple[Reference, ...]:
    """Every publication of references.bib."""
    text = resources.files(__package__).joinpath("references.bib").read_text(encoding="utf-8")
    found = _ENTRY.finditer(text)
    return tuple(Reference(m["key"], tuple(m["uses"].split()), _printed(m[0])) for m in found)


def cited(*used: str) -> list[str]:
    """The keys of the publications for dotted paths or words; a publication of a module is one of all in it."""
    return [
        reference.key
        for reference in references()
        if any(what == use or what.startswith(f"{use}.") for use in reference.uses for what in used)
    ]


def bibliography(keys: Iterable[str]) -> str:
    """The BibTeX entries of keys, in the order of references.bib."""
    wanted = set(keys)
    return "\n\n".join(reference.entry for reference in references() if reference.key in wanted) + "\n"


def _printed(entry: str) -> str:
    """A field to a line, without what only segbench reads."""
    entry = re.sub(r", usedfor = \{[^}]*\}", "", entry)
    return _FIELD.sub(",\n  ", entry).replace(", author", ",\n  author", 1)
