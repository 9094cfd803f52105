"""The commands of README.md and docs/, as they are printed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_START = ("python -m segbench", "segbench")


@dataclass(frozen=True)
class Command:
    """A command of segbench.

    Attributes:
        page: the file that prints it.
        text: as printed.
        name: train, predict, ..
        arguments: as the shell hands them on.
    """

    page: str
    text: str
    name: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def commands() -> list[Command]:
    """Every command in a block of shell lines, or in a line between backticks that begins with `python -m segbench`."""
    found = []
    for page in PAGES:
        text = page.read_text()
        blocks = re.findall(r"^```(?:ba)?sh\n(.*?)^```", text, re.S | re.M)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`(python -m segbench [^`]+)`", text)
        for line in lines:
            words = shlex.split(line, comments=True)
            start = next((start.split() for start in _START if words[: len(start.split())] == start.split()), None)
            if start is None:
                continue
            arguments = words[len(start) :]
            named = bool(arguments) and "=" not in arguments[0] and not arguments[0].startswith(("-", "+", "~"))
            name, arguments = (arguments[0], arguments[1:]) if named else ("train", arguments)
            found.append(Command(page.name, " ".join(line.split()), name, tuple(arguments)))
    return list(dict.fromkeys(found))
