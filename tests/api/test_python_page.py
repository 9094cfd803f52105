"""The Python of docs/python.md, executed as it is printed, with fewer steps on smaller images."""

import re
from pathlib import Path

import pytest

from segbench.api import training
from segbench.commands.execution import execute
from tests.documentation import ROOT
from tests.made_runs import TINY

SMALL = (*(setting for setting in TINY if not setting.startswith("trainer=")), "trainer.max_steps=2")


def test_the_blocks_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "execute", lambda command, given: execute(command, [*given, *SMALL]))
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.S | re.M)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), {})
    assert (tmp_path / "optimizers" / "report.html").exists()
    assert "'ours'" in capsys.readouterr().out
