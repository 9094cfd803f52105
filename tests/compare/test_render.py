"""The table in its four forms."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from rich.console import Console

from segbench.compare.report.latex import latex
from segbench.compare.report.render import comma_separated, markdown, terminal
from segbench.compare.report.tables import Cell, Line, Section, Table, number, parameters, score, seconds, signed
from segbench.compare.report.transposition import overflows, pieces, turned


@pytest.fixture
def table():
    cells = (Cell("0.900 (1)", 0.9, "best"), Cell("0.800 (2)", 0.8, "second", alike=True), Cell("–", float("nan")))
    sums = tuple(Cell(str(k), float(k)) for k in (1, 2, 3))
    lines = (Line("cell_wall & more", cells, "score"), Line("rank sum", sums, "sum"))
    return Table(("a_b", "c|d", "50% {x}"), (Section("set_1, dice", lines),), "caption")


def test_markdown(table):
    assert markdown(table).splitlines() == [
        r"| data set | class | a\_b | c\|d | 50% {x} |",
        "| --- | --- | ---: | ---: | ---: |",
        r"| set\_1, dice | cell\_wall & more | **0.900 (1)** | <u>0.800 (2)</u>† | – |",
        "|  | rank sum | 1 | 2 | 3 |",
        "",
        "caption",
    ]


def test_latex(table):
    text = latex(table, transpose=False)
    assert r" & \quad cell\_wall \& more & \textbf{0.900 (1)} & \underline{0.800 (2)}\rlap{$^\dagger$} & -- \\" in text
    assert r"\multicolumn{5}{l}{set\_1, dice} \\" in text
    assert text.count(r"\midrule") == 1
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count(" & ") for line in rows} == {4}


def test_names_with_any_characters_are_shown_as_they_are_in_latex():
    line = Line("x < y | z > w", (Cell("1", 1.0),), "score")
    text = latex(Table(("$a_1$",), (Section("", (line,)),), "a caption\n\\input{secret}"))
    assert r"x \textless{} y \textbar{} z \textgreater{} w & 1 \\" in text
    assert r"\$a\_1\$" in text
    assert r"A caption \textbackslash{}input\{secret\}." in text  # below the table, where a reader sees it


def test_a_spreadsheet_takes_no_name_for_a_formula():
    names = ("=1+1", "+x", "-x", "@x", "plain")
    lines = tuple(Line(name, (Cell("-1", -1.0),) * 5, "score") for name in names)
    rows = list(csv.reader(io.StringIO(comma_separated(Table(names, (Section("=s", lines),), "")))))
    assert rows[0][3:] == ["'=1+1", "'+x", "'-x", "'@x", "plain"]
    assert [row[1] for row in rows[1:]] == rows[0][3:]
    assert {row[0] for row in rows[1:]} == {"'=s"}
    assert {cell for row in rows[1:] for cell in row[3:]} == {"-1.0"}


def grid(methods, lines=6, name="unet_resnet18 / dice", spread="[0.888, 0.912]"):
    """A table with as many methods and lines, whose cells are all different."""
    sections = tuple(
        Section(
            f"set_{part}, dice, n = 60",
            tuple(
                Line(
                    f"class {row}",
                    tuple(
                        Cell(f"0.{part}{row}{m:02d}", m, "best" if m == row else "", m == 2, spread)
                        for m in range(methods)
                    ),
                    "score",
                )
                for row in range(lines // 2)
            ),
        )
        for part in range(2)
    )
    return Table(tuple(f"{name} {m}" for m in range(methods)), sections, "how to read it", ("a note",), "a title")


@pytest.mark.parametrize("transpose", [True, False, None])
@pytest.mark.parametrize("methods", [2, 4, 12])
def test_every_number_is_printed_once_whichever_way_the_table_stands(methods, transpose):
    table = grid(methods, lines=14)
    wanted = sorted(cell.text for section in table.sections for line in section.lines for cell in line.cells)
    for text in (latex(table, transpose), markdown(table, transpose)):
        assert sorted(re.findall(r"0\.\d{4}", text)) == wanted
        assert text.count("[0.888, 0.912]") == len(wanted)
        assert "how to read it" in text.lower()
    assert r"\caption{A title}" in latex(table, transpose)


def test_methods_become_rows_where_they_have_no_room_side_by_side():
    assert not overflows(grid(3))
    assert overflows(grid(8))
    few, many = markdown(grid(3)), markdown(grid(8))
    assert few.startswith("| data set | class | unet") and many.startswith("| method | set")  # noqa: PT018
    assert markdown(grid(3), transpose=True).startswith("| method")
    assert markdown(grid(8), transpose=False).startswith("| data set")


def test_parts_hold_all_columns_and_all_methods_in_order():
    table = grid(9, lines=20)
    heads = [head for part in turned(table) for head in part.heads]
    assert heads == [line.label for section in table.sections for line in section.lines]
    assert all(sum(count for _, count in part.groups) == len(part.heads) for part in turned(table))
    assert [name for piece in pieces(table) for name in piece.columns] == list(table.columns)
    assert len(list(pieces(table))) > 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("transpose", [True, False, None])
@pytest.mark.parametrize("methods", [2, 4, 9])
def test_latex_compiles_and_nothing_is_wider_than_the_page(methods, transpose, tmp_path):
    tables = (grid(methods, lines=12), grid(methods, name="WWW mmm WWW", spread="± 0.123"))
    pages = "".join(latex(table, transpose, f"tab:{k}") for k, table in enumerate(tables))
    page = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{pages}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    subprocess.run(["pdflatex", "-halt-on-error", "page.tex"], cwd=tmp_path, check=True, capture_output=True)
    assert "Overfull" not in (tmp_path / "page.log").read_text()


def test_comma_separated(table):
    rows = list(csv.reader(io.StringIO(comma_separated(table))))
    assert rows[0] == ["section", "row", "kind", "a_b", "c|d", "50% {x}"]
    assert rows[1] == ["set_1, dice", "cell_wall & more", "score", "0.9", "0.8", ""]


def printed(table, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal(table, width, "title"))
    return console.file.getvalue()


def test_on_a_wide_terminal_methods_are_columns(table):
    text = printed(table, 100)
    assert "0.800 (2)†" in text
    assert text.index("a_b") < text.index("cell_wall")


def test_on_a_narrow_terminal_methods_are_rows_and_the_rank_sum_stays(table):
    text = printed(table, 40)
    assert "…" not in text
    rows = [line for line in text.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == ["a_b", "c|d", "50% {x}"]
    assert [row.split("│")[-2].strip() for row in rows] == ["1", "2", "3"]


@pytest.mark.parametrize("width", range(45, 95, 5))
def test_no_interval_is_cut_short(table, width):
    def long(line):
        cells = [replace(cell, spread="[0.585, 1.000]") for cell in line.cells]
        return replace(line, label="smallest rank sum in", cells=cells)

    sections = [replace(section, lines=[long(line) for line in section.lines]) for section in table.sections]
    text = printed(replace(table, sections=sections), width)
    assert "…" not in text
    assert "[0.585, 1.000]" in text
    assert max(map(len, text.splitlines())) <= width


def test_numbers():
    assert [score(v) for v in (0.12345, 99.9999, 123.4, float("nan"))] == ["0.123", "100.000", "123", "–"]
    assert [number(v) for v in (3.0, 2.5, 12.0, float("nan"))] == ["3", "2.5", "12", "–"]
    assert [signed(v) for v in (0.1, -0.1, -0.0001)] == ["+0.100", "-0.100", "+0.000"]
    assert [seconds(v) for v in (0.12345, 12.345, 1234.5)] == ["0.123", "12.3", "1234"]
    assert [parameters(v) for v in (0, 1692, 9999, 484_123, 14_330_000, 1.2e8)] == [
        "0", "1,692", "9,999", "484 k", "14.3 M", "120 M",
    ]  # fmt: skip
    assert [parameters(v) for v in (999_400, 999_600, float("nan"))] == ["999 k", "1.0 M", "–"]
