"""The same run started by torchrun, by srun, and by Lightning itself: the same table, printed and logged once.

pytest -m slow tests/training/test_ddp_launchers.py
pytest -m slurm tests/training/test_ddp_launchers.py     (a SLURM of one node with two processors will do)
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segbench.runs.directory import RunDirectory, read_cases
from tests.made_runs import TINY
from tests.training.test_ddp import SAME, same_scores

ONE = (*TINY, *SAME, "data.dataset.cases=15", "folds=3")
JOB = f"segbench-{os.getpid()}"
LAUNCHERS = {
    "torchrun": lambda count: [sys.executable, "-m", "torch.distributed.run", "--standalone",
                               f"--nproc_per_node={count}", "-m", "segbench"],
    "srun": lambda count: ["srun", f"--job-name={JOB}", "-n", str(count), "--overcommit", "--mem=1G", sys.executable,
                           "-m", "segbench"],
    "lightning": lambda count: [sys.executable, "-m", "segbench"],
}  # fmt: skip

pytestmark = pytest.mark.timeout(1800)
slurm = (pytest.mark.slurm, pytest.mark.skipif(shutil.which("srun") is None, reason="there is no SLURM here"))


def _start(here: Path, launcher: str, count: int, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LAUNCHERS[launcher](count), *arguments], cwd=here, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )  # fmt: skip


def _run(here: Path, launcher: str, count: int, *arguments: str) -> tuple[int, str, str]:
    process = _start(here, launcher, count, *arguments)
    out, errors = process.communicate(timeout=900)
    return process.returncode, out, errors


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    here = tmp_path_factory.mktemp("alone")
    code, _, errors = _run(here, "lightning", 1, *ONE, "hydra.run.dir=run")
    assert code == 0, errors
    return here / "run"


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "launcher",
    [pytest.param("torchrun", marks=pytest.mark.slow), pytest.param("lightning", marks=pytest.mark.slow),
     pytest.param("srun", marks=slurm)],
)  # fmt: skip
def test_any_launcher_ends_with_the_same_cases(alone, tmp_path, launcher, count):
    code, out, errors = _run(tmp_path, launcher, count, *ONE, f"trainer.devices={count}", "hydra.run.dir=run")
    assert code == 0, errors
    path = tmp_path / "run"
    assert same_scores(read_cases(alone / "cases.csv"), read_cases(path / "cases.csv"))
    assert out.count("run directory") == 1
    lines, theirs = (
        [line.partition(": ")[2] for line in (one / "run.log").read_text().splitlines()] for one in (path, alone)
    )
    assert len(lines) == len(set(lines))
    assert lines == [line for line in theirs if not line.startswith("decoding")]  # which only the first run does
    assert {one.name for one in path.iterdir()} == {one.name for one in alone.iterdir()}


@pytest.mark.parametrize(
    "launcher", [pytest.param("torchrun", marks=pytest.mark.slow), pytest.param("srun", marks=slurm)]
)
def test_processes_that_do_not_match_the_devices_are_refused(tmp_path, launcher):
    code, _, errors = _run(tmp_path, launcher, 2, *ONE, "trainer.devices=1", "hydra.run.dir=run")
    assert code != 0
    assert "has started 2 on each node" in errors
    assert "Traceback" not in errors.partition("failed (exitcode")[0]
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("launcher", "count"),
    [pytest.param("torchrun", 2, marks=pytest.mark.slow), pytest.param("lightning", 2, marks=pytest.mark.slow),
     pytest.param("srun", 2, marks=slurm), pytest.param("srun", 1, marks=slurm)],
)  # fmt: skip
def test_a_signal_stops_the_run_in_order(tmp_path, launcher, count):
    long = ("trainer.max_steps=100000", "trainer.validate_every=50000")
    process = _start(tmp_path, launcher, count, *ONE, *long, f"trainer.devices={count}", "hydra.run.dir=run")
    log = tmp_path / "run" / "run.log"
    deadline = time.monotonic() + 600
    while not (log.exists() and "parameters" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(5)
    if launcher == "srun":  # to its tasks, as SLURM does; itself it would kill them
        subprocess.run(["scancel", "--signal=TERM", f"--name={JOB}"], check=True)
    else:
        process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    directory = RunDirectory(tmp_path / "run")
    assert directory.status == "interrupted", errors
    assert directory.last_checkpoint.exists()
    assert errors.count("the same command continues the run") == 1
