"""What tests of sweeps share."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
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


@pytest.fixture
def here(tmp_path) -> Iterator[Path]:
    """A folder for sweeps on the real SLURM, which are cancelled in the end."""
    yield tmp_path
    for record in tmp_path.rglob("slurm/jobs.json"):
        subprocess.run(["scancel", *json.loads(record.read_text()).values()], check=False)
