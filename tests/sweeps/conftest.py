"""What tests of sweeps share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Puts a command on the path that prints a text, and notes what it was called with."""

    def command(name: str, text: str, code: int = 0) -> Path:
        notes = tmp_path / f"{name}.called"
        (tmp_path / name).write_text(f"#!/bin/sh\necho \"$@\" >> '{notes}'\ncat <<'TEXT'\n{text}\nTEXT\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
        return notes

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return command
