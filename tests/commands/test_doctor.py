"""What `segbench doctor` finds, and finds amiss."""

import os
import stat
from pathlib import Path

import pytest
import torch

from segbench import __version__
from segbench.commands import doctor
from segbench.commands.execution import report
from segbench.loggers import wandb_access


@pytest.fixture(autouse=True)
def no_slurm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SLURM whose controller is down is waited for: only its own test asks one."""
    if "slurm" not in request.node.name:
        monkeypatch.setattr(doctor, "_slurm", lambda: doctor.Finding("SLURM", "not asked"))


def findings() -> dict[str, doctor.Finding]:
    return {finding.what: finding for finding in doctor.examine()}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that comes first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_command_prints_a_line_for_each_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("doctor", []) == 0
    text = capsys.readouterr().out
    for what in (__version__, torch.__version__.partition("+")[0], "GPU", "cache", "W&B", "SLURM"):
        assert what in text


def test_the_cache_that_runs_use_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "not" / "there" / "yet"))
    assert str(tmp_path / "not" / "there" / "yet") in findings()["cache"].found
    monkeypatch.setattr(doctor.os, "access", lambda place, mode: place != tmp_path)
    assert f"{tmp_path} cannot be written; choose SEGBENCH_CACHE" in findings()["cache"].amiss


def test_little_space_is_amiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_SPACE", 10.0**9)
    assert "GiB are free" in findings()["this folder"].amiss


def test_slurm_as_it_says_itself(tools: Path) -> None:
    program(tools / "sinfo", "echo 'gpu*  up  4 nodes,   32 CPUs, 256000 MB, gpu:a100:4'")
    assert findings()["SLURM"].found == "gpu* up 4 nodes, 32 CPUs, 256000 MB, gpu:a100:4"
    program(tools / "sinfo", "echo 'no controller' >&2; exit 1")
    assert findings()["SLURM"].amiss == "no controller"


def test_a_driver_without_a_gpu_is_amiss(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    program(tools / "nvidia-smi", "exit 0")
    assert "CUDA_VISIBLE_DEVICES" in findings()["GPU"].amiss


def test_the_key_of_wandb_is_found_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(wandb_access, "server_address", lambda: "http://127.0.0.1:8080")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert "no key" in findings()["W&B"].found
    (tmp_path / "netrc").write_text("machine 127.0.0.1\n  login user\n  password secret\n")
    assert "a key is set" in findings()["W&B"].found
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    assert "must be online" in findings()["W&B"].amiss
    assert "secret" not in " ".join(finding.found + finding.amiss for finding in findings().values())
