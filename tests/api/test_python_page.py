"""The Python of docs/python.md and of the notebooks, executed as it is printed, with fewer steps on smaller images."""

import json
import re
from pathlib import Path

import pytest

from segbench.api import training
from segbench.commands.execution import execute
from tests.documentation import ROOT

SMALL = ("trainer.max_steps=2", "trainer.progress=false", "data.batch_size=2", "data.patch_size=[32,32]",
         "data.workers=0", "metrics=overlap")  # fmt: skip
DRAWN = ("data.dataset.cases=10", "data.dataset.size=[96,96]", "model.channels=[4,8]")
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, where training is short, and images that are drawn are few."""
    monkeypatch.chdir(tmp_path)

    def shortened(command: str, given: list[str]) -> list:
        drawn = not any(setting.startswith("data=") for setting in given)
        return execute(command, [*given, *(DRAWN if drawn else ()), *SMALL])

    monkeypatch.setattr(training, "execute", shortened)
    return tmp_path


def test_the_blocks_of_the_page(here: Path, capsys: pytest.CaptureFixture) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.S | re.M)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), {})
    assert (here / "optimizers" / "report.html").exists()
    assert "'ours'" in capsys.readouterr().out


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook(path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = json.loads(path.read_text())
    names: dict = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), path.name, "exec"), names)
    assert (here / path.stem / "report.html").exists()
    assert names["comparison"]._repr_html_().count("<table")
