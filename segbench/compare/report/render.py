"""A table as Markdown, CSV and on a terminal."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from segbench.compare.report.tables import Cell, Line, Section, Table
from segbench.compare.report.transposition import standing

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that make a spreadsheet read a text as a formula."""


def markdown(table: Table, transpose: bool | None = None) -> str:
    """GitHub's Markdown: best bold, second underlined, not significantly worse with a dagger.

    Args:
        table: what it shows.
        transpose: whether methods are rows; None: where they would be wider than a printed page as columns.
    """
    rows = _turned_rows(table) if standing(table, transpose) else _rows(table)
    notes = "".join(f"\n{_md(note)}\n" for note in table.notes)
    return "\n".join("| " + " | ".join(line) + " |" for line in rows) + f"\n\n{table.caption}\n{notes}"


def _rows(table: Table) -> list[list[str]]:
    titled = any(section.title for section in table.sections)
    head = [*(["data set"] if titled else []), "class" if titled else "", *map(_md, table.columns)]
    rows = [head, ["---"] * (len(head) - len(table.columns)) + ["---:"] * len(table.columns)]
    for section in table.sections:
        for k, line in enumerate(section.lines):
            title = [_md(section.title) if k == 0 else ""] if titled else []
            rows.append([*title, _md(line.label), *map(_md_cell, line.cells)])
    return rows


def _turned_rows(table: Table) -> list[list[str]]:
    """A row for each method; the title of a section stands above the first of its columns."""
    heads, columns = [], []
    for section in table.sections:
        for k, line in enumerate(section.lines):
            heads.append(f"{_md(section.title)}:<br>{_md(line.label)}" if section.title and not k else _md(line.label))
            columns.append(line.cells)
    rows = [[_md(name), *(_md_cell(cells[k]) for cells in columns)] for k, name in enumerate(table.columns)]
    return [["method", *heads], ["---", *["---:"] * len(heads)], *rows]


def _md(text: str) -> str:
    return re.sub(r"([\\|*_<>`])", r"\\\1", text)


def _md_cell(cell: Cell) -> str:
    text = {"best": f"**{cell.text}**", "second": f"<u>{cell.text}</u>"}.get(cell.mark, cell.text)
    return text + "†" * cell.alike + (f"<br>{_md(cell.spread)}" if cell.spread else "")


def comma_separated(table: Table) -> str:
    """The numbers in full, one line for each row of the table."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["section", "row", "kind", *map(as_text, table.columns)])
    for section in table.sections:
        for line in section.lines:
            numbers = ["" if np.isnan(cell.value) else repr(cell.value) for cell in line.cells]
            writer.writerow([as_text(section.title), as_text(line.label), line.kind, *numbers])
    return file.getvalue()


def as_text(value: object) -> object:
    """The value of a cell, marked with a quote where a spreadsheet would take a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def terminal(table: Table, width: int, title: str) -> RichTable:
    """The table for a terminal: methods as columns where they fit, else as rows."""
    from rich.table import Table as RichTable
    from rich.text import Text

    def styled(cell: Cell) -> Text:
        style = {"best": "bold green", "second": "underline"}.get(cell.mark, "")
        text = Text(cell.text + "†" * cell.alike, style=style, justify="right", no_wrap=True)
        return text.append(f"\n{cell.spread}", style="dim not bold not underline") if cell.spread else text

    shown = RichTable(
        title=title, title_justify="left", header_style="bold", caption=table.caption, caption_justify="left"
    )
    lines = [(section, line) for section in table.sections for line in section.lines]
    words = [word for section, line in lines for word in (*section.title.split(), *line.label.split())]
    labels = max(map(len, words))
    widths = [
        max(*map(len, name.split()), *(_cell_width(line.cells[k]) for _, line in lines))
        for k, name in enumerate(table.columns)
    ]
    whole = [max(least, len(name)) for name, least in zip(table.columns, widths, strict=True)]
    roomy = max(len(line.label) for _, line in lines) + 4 + sum(column + 3 for column in whole) <= width
    if labels + 4 + sum(column + 3 for column in widths) <= width:
        shown.add_column("", min_width=labels)
        for name, column in zip(table.columns, whole if roomy else widths, strict=True):
            shown.add_column(Text(name), justify="right", width=column)
        for section in table.sections:
            shown.add_section()
            if section.title:
                shown.add_row(Text(section.title, style="italic"), *([""] * len(table.columns)))
            for line in section.lines:
                shown.add_row(Text(line.label), *map(styled, line.cells))
        return shown
    kept = _fitting(table, lines, width)
    shown.add_column("method", no_wrap=max(map(len, table.columns)) <= 40)
    for section, line in kept:
        shown.add_column(Text(_heading(section, line)), justify="right", width=_column_width(section, line))
    for k, name in enumerate(table.columns):
        shown.add_row(Text(name), *(styled(line.cells[k]) for _, line in kept))
    return shown


def _column_width(section: Section, line: Line) -> int:
    """The least width of a row of the table as a column: no word of its heading and no number is broken."""
    return max(*map(len, _heading(section, line).split()), *map(_cell_width, line.cells))


def _cell_width(cell: Cell) -> int:
    return max(len(cell.text) + cell.alike, len(cell.spread))


def _heading(section: Section, line: Line) -> str:
    return f"{section.title}: {line.label}" if section.title and line.kind in ("score", "mean") else line.label


def _fitting(table: Table, lines: Sequence[tuple[Section, Line]], width: int) -> list[tuple[Section, Line]]:
    """The rows of the table that fit as columns, the most important ones first to be kept."""
    importance = {kind: k for k, kind in enumerate(("total", "first", "mean", "sum", "score", "drop", "cost"))}
    kept = []
    left = width - 4 - max(len("method"), min(40, max(map(len, table.columns))))
    for number in sorted(range(len(lines)), key=lambda n: (importance.get(lines[n][1].kind, len(importance)), n)):
        section, line = lines[number]
        left -= _column_width(section, line) + 3
        if left < 0:
            break
        kept.append(number)
    return [lines[number] for number in sorted(kept)]
