"""The files for a publication: methods, bibliography, checklist, and the script that makes all of it again."""

from __future__ import annotations

from pathlib import Path

from segbench.compare.reading.methods import Loaded
from segbench.compare.reading.places import of_kinds, parse_place
from segbench.compare.report.paper.bibliography import bibliography
from segbench.compare.report.paper.checklist import checklist
from segbench.compare.report.paper.methods_text import as_latex, as_markdown, keys, methods_section
from segbench.compare.report.paper.reproduction import reproduction
from segbench.compare.request import Request
from segbench.compare.statistics.comparison import Comparison

BIBLIOGRAPHY = "references"


def write_paper(folder: Path, comparison: Comparison, loaded: Loaded, request: Request) -> None:
    """Write methods.md, methods.tex, references.bib, checklist.md and reproduce.sh."""
    paragraphs = methods_section(comparison, loaded)
    scores = None if request.scores is None else str(request.scores.absolute())
    elsewhere = [place.anywhere for place in of_kinds(request.runs, "masks", "instances", "nnunet", "table")]
    asked = dict(request.asked)
    if request.masks.reference is not None:
        asked["reference"] = parse_place(request.masks.reference).anywhere
    texts = {
        "methods.md": as_markdown(paragraphs),
        "methods.tex": as_latex(paragraphs, BIBLIOGRAPHY),
        f"{BIBLIOGRAPHY}.bib": bibliography(keys(paragraphs)),
        "checklist.md": checklist(comparison, loaded, paragraphs, {}),
        "reproduce.sh": reproduction(loaded, scores, asked, elsewhere),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "reproduce.sh").chmod(0o755)
