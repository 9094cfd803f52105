"""The comments of the YAML files, which say what each key means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

_PACKAGE = "# @package "


@dataclass(frozen=True)
class Commented:
    """One YAML file in words.

    Attributes:
        header: the comment at its top; lines that are indented, such as those of a file, stay lines.
        meanings: dotted key -> the comment behind it, empty where there is none; in the order of the file.
        parents: files that it is made from: name -> dotted path at which it takes them over.
        package: where the file's content belongs, if it says so itself: empty for the whole configuration.
    """

    header: str
    meanings: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    package: str | None = None


@cache
def read_comments(path: Path) -> Commented:
    """The comments of a file of conf/."""
    text = path.read_text()
    lines = text.splitlines()
    top = []
    for line in lines:
        if not line.startswith("#"):
            break
        top.append(line)
    package = next((line.removeprefix(_PACKAGE).strip() for line in top if line.startswith(_PACKAGE)), None)
    header = _flowing(line.removeprefix("#").removeprefix(" ") for line in top if not line.startswith(_PACKAGE))
    meanings: dict[str, str] = {}
    parents: dict[str, str] = {}
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "defaults":
                parents = dict(_parents(value))
        _read(node, "", lines, meanings)
    return Commented(header, meanings, parents, None if package is None else package.replace("_global_", ""))


def _flowing(lines: Iterable[str]) -> str:
    """Text in which a line ends only beside an indented one."""
    text, within = "", False
    for line in lines:
        indented = line.startswith(" ")
        text += f"{line.rstrip()}" if not text else f"\n{line.rstrip()}" if indented or within else f" {line.strip()}"
        within = indented
    return text


def _read(node: yaml.MappingNode, prefix: str, lines: list[str], meanings: dict[str, str]) -> None:
    for key, value in node.value:
        if key.value.startswith("_") or (not prefix and key.value in ("defaults", "hydra")):
            continue
        path = f"{prefix}{key.value}"
        meanings[path] = _comment(key, value, lines)
        if isinstance(value, yaml.MappingNode):
            _read(value, f"{path}.", lines, meanings)


def _comment(key: yaml.Node, value: yaml.Node, lines: list[str]) -> str:
    """The comment behind a key and its value, with the lines of comment that follow at once."""
    block = isinstance(value, yaml.CollectionNode) and not value.flow_style
    mark = key.end_mark if block else value.end_mark
    line, rest = mark.line, lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    rest = rest.lstrip(": " if block else " ,}")
    if not rest.startswith("#"):
        return ""
    parts = [rest]
    while (line := line + 1) < len(lines) and lines[line].lstrip().startswith("#"):
        parts.append(lines[line])
    return " ".join(part.strip().removeprefix("#").strip() for part in parts)


def _parents(node: yaml.Node) -> Iterator[tuple[str, str]]:
    """Names in a defaults list of files of the same group, or `/name` of the folder above, and their packages."""
    for entry in node.value if isinstance(node, yaml.SequenceNode) else ():
        if isinstance(entry, yaml.ScalarNode) and entry.value != "_self_":
            name, _, package = entry.value.partition("@")
            yield name, package.replace("_here_", "")
