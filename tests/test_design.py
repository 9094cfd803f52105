"""The map of the house is true: rooms, files and floors are where docs/design.md says."""

import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DESIGN = (ROOT / "docs" / "design.md").read_text()
PACKAGE = ROOT / "segbench"
LONGEST = 400
WITHOUT_TORCH = (
    "segbench.compare",
    "segbench.runs",
    "segbench.config",
    "segbench.system",
    "segbench.commands.execution",
)


def rooms_on_the_map() -> set[str]:
    plan = DESIGN.split("## Rooms")[1].split("```")[1].split("conf/ ")[0]
    lines = [line for line in plan.splitlines() if re.match(r"  [a-z_]", line)]
    return {room for line in lines for room in re.findall(r"\b([a-z_]+)(?=/ )", line.split("   ")[0] + " ")} | {
        file for line in lines for file in re.findall(r"^  ([a-z_]+\.py)", line)
    }


def test_every_room_is_on_the_map_and_every_room_of_the_map_is_there():
    there = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"}
    assert rooms_on_the_map() == there - {"__init__.py"}


def test_the_floors_of_the_linter_are_the_rooms():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = {room for floor in contracts[0]["layers"] for room in floor.split(" | ")}
    assert floors == {room.removesuffix(".py") for room in rooms_on_the_map()}


def test_the_files_that_the_map_names_are_there():
    named = set(re.findall(r"`((?:segbench|conf|tests)/[\w/.]+)`", DESIGN))
    named |= {
        f"segbench/{path}"
        for path in re.findall(r"`((?:data|config|training|evaluation|inference|decoders)/[\w/.]+)`", DESIGN)
    }
    to_come = {"segbench/data/formats/nifti.py"}  # the question is where it would go
    assert len(named) > 20
    assert not [path for path in named - to_come if not (ROOT / path).exists()]


def test_each_of_the_twenty_questions_has_an_answer():
    questions, answers = DESIGN.split("## Twenty questions")[1].split("<details>")
    numbers = [list(map(int, re.findall(r"^(\d+)\. ", part, re.M))) for part in (questions, answers)]
    assert numbers == [list(range(1, 21))] * 2


def test_no_file_is_longer_than_a_few_screens():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > LONGEST}


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_that_start_at_once_import_no_pytorch(room):
    modules = [room]
    folder = ROOT / room.replace(".", "/")
    if folder.is_dir():
        modules += [module.name for module in pkgutil.walk_packages([str(folder)], f"{room}.")]
    script = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
    script += "print([name for name in ('torch', 'lightning', 'monai', 'torchmetrics') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
