"""The two ways in which a table can stand on a page: methods as columns, or as rows in as many parts as it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from segbench.compare.report.tables import Cell, Line, Section, Table

PAGE = 345.0
"""Width of a page's text in points: that of LaTeX's article at 10 pt, a journal's column and a half."""
HEAD = 11
"""Characters of a head that stand on one line, where it can be broken."""
_GAP = 12.0
_SIZES = {" ": 3.0, ",": 2.6, ".": 2.6, ":": 2.6, "i": 2.6, "l": 2.6, "|": 2.6, "[": 2.6, "]": 2.6, "j": 2.9}
_SIZES |= (
    dict.fromkeys("()/-tIrs", 3.7)
    | dict.fromkeys("mwM%", 8.3)
    | dict.fromkeys("W", 9.6)
    | dict.fromkeys("ABCDEFGHKNOPQRTUVXYZ_±", 7.2)
)
"""Widths in points of characters of Computer Modern at 9 pt that differ from a digit's, never too small."""
_DIGIT = 4.75
_SMALL = 0.83


@dataclass(frozen=True)
class Part:
    """A table with methods as rows, no wider than a page.

    Attributes:
        groups: of heads: the title of a section and how many columns it has here.
        heads: of the columns.
        rows: the name of each method and its cells.
    """

    groups: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def broken(head: str) -> list[str]:
    """A head on several lines, where it is long: broken behind the slashes of a method's name, else at spaces."""
    if len(head) <= HEAD:
        return [head]
    words = head.replace(" / ", " /\n").split("\n") if " / " in head else head.split(" ")
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= HEAD:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def overflows(table: Table, page: float = PAGE) -> bool:
    """Return whether the methods of a table have no room side by side on a page."""
    lines = [line for section in table.sections for line in section.lines]
    labels = [line.label for line in lines]
    heads = enumerate(table.columns)
    methods = sum(_column(head, [line.cells[k] for line in lines]) for k, head in heads)
    return _GAP + max(map(_width, labels)) + _indent(table) + methods > page


def standing(table: Table, transpose: bool | None) -> bool:
    """Return whether methods are rows: as asked for, or where they have no room as columns."""
    return overflows(table) if transpose is None else transpose


def turned(table: Table, page: float = PAGE) -> list[Part]:
    """The table with methods as rows, in parts that are no wider than a page."""
    names = _GAP + max(map(_width, table.columns))
    parts: list[list[tuple[Section, Line]]] = [[]]
    left = page - names
    for section in table.sections:
        for line in section.lines:
            needed = _column(line.label, line.cells)
            if needed > left and parts[-1]:
                parts.append([])
                left = page - names
            parts[-1].append((section, line))
            left -= needed
    return [_part(table.columns, lines) for lines in parts if lines]


def pieces(table: Table, page: float = PAGE) -> Iterator[Table]:
    """The table with methods as columns, in pieces of as many methods as a page has room for."""
    lines = [line for section in table.sections for line in section.lines]
    left = room = page - _GAP - max(_width(line.label) for line in lines) - _indent(table)
    start = 0
    for k, name in enumerate(table.columns):
        needed = _column(name, [line.cells[k] for line in lines])
        if needed > left and k > start:
            yield _columns(table, start, k)
            start, left = k, room
        left -= needed
    yield _columns(table, start, len(table.columns))


def _columns(table: Table, start: int, end: int) -> Table:
    sections = tuple(
        replace(s, lines=tuple(replace(line, cells=line.cells[start:end]) for line in s.lines)) for s in table.sections
    )
    return replace(table, columns=table.columns[start:end], sections=sections)


def _part(methods: Sequence[str], lines: Sequence[tuple[Section, Line]]) -> Part:
    groups: dict[str, int] = {}
    for section, _ in lines:
        groups[section.title] = groups.get(section.title, 0) + 1
    rows = tuple((method, tuple(line.cells[k] for _, line in lines)) for k, method in enumerate(methods))
    return Part(tuple(groups.items()), tuple(line.label for _, line in lines), rows)


def _indent(table: Table) -> float:
    """The width of the column that stands empty below the titles of sections."""
    return _GAP if any(section.title for section in table.sections) else 0.0


def _column(head: str, cells: Sequence[Cell]) -> float:
    texts = [_width(cell.text) * 1.08 + 4 * cell.alike for cell in cells]
    return _GAP + max(*map(_width, broken(head)), *texts, *(_SMALL * _width(cell.spread) for cell in cells))


def _width(text: str) -> float:
    """The width of a text at 9 pt, in points."""
    return sum(_SIZES.get(character, _DIGIT) for character in text)
