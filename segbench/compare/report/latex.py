r"""A table for LaTeX: a float with its caption and its legend below, which needs nothing but booktabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from segbench.compare.report.tables import Cell, Table
from segbench.compare.report.transposition import Part, broken, pieces, standing, turned

_TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}
_TEX |= {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "–": "--",
    "†": r"$^\dagger$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\n": " ",
}


def latex(table: Table, transpose: bool | None = None, label: str = "tab:comparison") -> str:
    r"""A table environment: caption, tabular with booktabs rules, and below it the legend and the notes.

    Args:
        table: what it shows.
        transpose: whether methods are rows; None: where they would be wider than a page as columns. Either way
            what is wider than a page stands in several parts below each other.
        label: to refer to it.
    """
    if standing(table, transpose):
        parts = [_tabular_of(part) for part in turned(table)]
    else:
        parts = [_tabular(piece) for piece in pieces(table)]
    notes = [f"{text.removesuffix('.')}." for text in (_sentence(table.caption), *table.notes) if text]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        *([rf"\caption{{{tex(_sentence(table.title))}}}"] if table.title else []),
        rf"\label{{{label}}}",
        r"\small",
        "\n\\par\\medskip\n".join(parts),
        r"\par\smallskip",
        rf"\begin{{minipage}}{{\linewidth}}\footnotesize {tex(' '.join(notes))}\end{{minipage}}",
        r"\end{table}",
    ]
    return "\n".join([*lines, ""])


def tex(text: str) -> str:
    """A text with every character that means something to LaTeX taken literally."""
    return "".join(_TEX.get(character, character) for character in text)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def _tabular(table: Table) -> str:
    """Methods as columns, the title of a section above its rows."""
    titled = any(section.title for section in table.sections)
    empty = [""] * titled
    width = len(table.columns) + 1 + titled
    lines = [
        rf"\begin{{tabular}}{{{'l@{}' * titled}l{'r' * len(table.columns)}}}",
        r"\toprule",
        _row([*empty, "", *map(_head, table.columns)]),
    ]
    for section in table.sections:
        lines.append(r"\midrule")
        if titled:
            lines.append(_row([rf"\multicolumn{{{width}}}{{l}}{{{tex(section.title)}}}"]))
        for line in section.lines:
            name = (r"\quad " if titled else "") + tex(line.label)
            lines += _two_rows([*empty, name], line.cells)
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _tabular_of(part: Part) -> str:
    """Methods as rows, the title of a section above its columns."""
    lines = [rf"\begin{{tabular}}{{l{'r' * len(part.heads)}}}", r"\toprule"]
    if any(title for title, _ in part.groups):
        titles = [rf"\multicolumn{{{count}}}{{c}}{{{_narrow(title, count)}}}" for title, count in part.groups]
        lines.append(_row(["", *titles]))
        lines.append(" ".join(_rules(part)))
    lines += [_row(["", *map(_head, part.heads)]), r"\midrule"]
    for name, cells in part.rows:
        lines += _two_rows([tex(name)], cells)
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _rules(part: Part) -> Iterator[str]:
    first = 2
    for _, count in part.groups:
        yield rf"\cmidrule(lr){{{first}-{first + count - 1}}}"
        first += count


def _narrow(title: str, count: int) -> str:
    """The title over few columns on several lines."""
    return _stack(title.split(", "), "c") if count < 3 else tex(title)


def _head(text: str) -> str:
    return _stack(broken(text), "r")


def _stack(lines: Sequence[str], side: str) -> str:
    stacked = r"\\".join(map(tex, lines))
    return rf"\shortstack[{side}]{{{stacked}}}" if len(lines) > 1 else stacked


def _two_rows(labels: Sequence[str], cells: Sequence[Cell]) -> Iterator[str]:
    """A row, and where there is any the uncertainty of its cells in small print below."""
    around = any(cell.spread for cell in cells)
    yield _row([*labels, *map(_cell, cells)]) + "[-0.5pt]" * around
    if around:
        small = [rf"{{\scriptsize {tex(cell.spread)}}}" if cell.spread else "" for cell in cells]
        yield _row([*([""] * len(labels)), *small])
        yield r"\addlinespace[1.5pt]"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    text = tex(cell.text)
    marked = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}.get(cell.mark, text)
    return marked + r"\rlap{$^\dagger$}" * cell.alike
