"""The table in its four forms."""

import csv
import io
import shutil
import subprocess

import pytest
from rich.console import Console

from segbench.compare.report.render import comma_separated, latex, markdown, terminal
from segbench.compare.report.tables import Cell, Line, Section, Table, number, score, seconds, signed


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
    text = latex(table)
    assert r" & cell\_wall \& more & \textbf{0.900 (1)} & \underline{0.800 (2)}$^\dagger$ & -- \\" in text
    assert r"\multicolumn{5}{l}{set\_1, dice} \\" in text
    assert text.count(r"\midrule") == 1
    assert "rotatebox" not in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count(" & ") for line in rows} == {4}


def test_names_with_any_characters_are_shown_as_they_are_in_latex():
    line = Line("x < y | z > w", (Cell("1", 1.0),), "score")
    text = latex(Table(("$a_1$",), (Section("", (line,)),), "a caption\n\\input{secret}"))
    assert r"x \textless{} y \textbar{} z \textgreater{} w & 1 \\" in text
    assert r"\$a\_1\$" in text
    assert r"% a caption \input{secret}" in text  # a comment, as before


def test_a_spreadsheet_takes_no_name_for_a_formula():
    names = ("=1+1", "+x", "-x", "@x", "plain")
    lines = tuple(Line(name, (Cell("-1", -1.0),) * 5, "score") for name in names)
    rows = list(csv.reader(io.StringIO(comma_separated(Table(names, (Section("=s", lines),), "")))))
    assert rows[0][3:] == ["'=1+1", "'+x", "'-x", "'@x", "plain"]
    assert [row[1] for row in rows[1:]] == rows[0][3:]
    assert {row[0] for row in rows[1:]} == {"'=s"}
    assert {cell for row in rows[1:] for cell in row[3:]} == {"-1.0"}


def test_latex_turns_the_names_of_many_methods(table):
    many = Table(tuple(f"m{k}" for k in range(7)), (Section("", (Line("x", (Cell("1", 1.0),) * 7, "score"),)),), "")
    assert r"\rotatebox{90}{m6}" in latex(many)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(table, tmp_path):
    packages = r"\usepackage{booktabs}\usepackage{graphicx}"
    page = rf"\documentclass{{article}}{packages}\begin{{document}}{latex(table)}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    subprocess.run(["pdflatex", "-halt-on-error", "page.tex"], cwd=tmp_path, check=True, capture_output=True)


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


def test_numbers():
    assert [score(v) for v in (0.12345, 99.9999, 123.4, float("nan"))] == ["0.123", "100.000", "123", "–"]
    assert [number(v) for v in (3.0, 2.5, 12.0, float("nan"))] == ["3", "2.5", "12", "–"]
    assert [signed(v) for v in (0.1, -0.1, -0.0001)] == ["+0.100", "-0.100", "+0.000"]
    assert [seconds(v) for v in (0.12345, 12.345, 1234.5)] == ["0.123", "12.3", "1234"]
