"""Sweeps on the real SLURM, as tests start and watch them."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from segbench.runs.directory import RunDirectory, read_cases
from tests.made_runs import TINY
from tests.sweeps.slurm_queue import start_now

MARKS = [
    pytest.mark.slurm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(shutil.which("sbatch") is None, reason="there is no SLURM on this machine"),
]

ROOT = Path(__file__).parents[2]

LAUNCHER = (
    "hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1", "hydra.launcher.poll=1",
)  # fmt: skip


def start(here: Path, *arguments: str, tiny=TINY, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "segbench", *tiny, *arguments, "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", **variables}
    return subprocess.Popen(
        command, cwd=here, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    out, _ = process.communicate(timeout=800)
    assert process.returncode == code, out
    return out


def wait_for(condition, seconds: float = 600):
    """The condition's first true value; jobs that wait for their time start at once meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        start_now()
        time.sleep(0.3)
    raise AssertionError(f"it did not come to pass in {seconds} s")


def run_until_end(process: subprocess.Popen[str], code: int = 0) -> str:
    """Waits for the command, and lets jobs that are queued again start at once."""
    wait_for(lambda: process.poll() is not None, 900)
    return finish(process, code)


def the_run(here: Path) -> RunDirectory:
    (path,) = (path.parent for path in here.glob("sweep/*/config.yaml"))
    return RunDirectory(path)


def job_of(here: Path) -> str:
    (job,) = json.loads((here / "sweep/slurm/jobs.json").read_text()).values()
    return job


def array_of(here: Path) -> str:
    (array,) = {job.partition("_")[0] for job in json.loads((here / "sweep/slurm/jobs.json").read_text()).values()}
    return array


def beginning(here: Path) -> str:
    """The job, once its Python has begun: it still imports."""
    jobs = here / "sweep/slurm/jobs.json"
    wait_for(jobs.exists)
    log = here / f"sweep/slurm/{job_of(here)}_0_log.out"
    wait_for(lambda: log.exists() and "Starting with" in log.read_text())
    return job_of(here)


def tasks(here: Path) -> list[RunDirectory]:
    """The runs in the order of their tasks, once they are submitted."""
    record = here / "sweep/slurm/jobs.json"
    names = json.loads(record.read_text()) if record.exists() else {}
    return [RunDirectory(here / "sweep" / name) for name in sorted(names, key=names.__getitem__)]


def check_same(run: RunDirectory, reference: RunDirectory) -> None:
    assert run.finished
    pd.testing.assert_frame_equal(read_cases(run.cases), read_cases(reference.cases), check_exact=True)
    mine, other = (torch.load(one.last_checkpoint, weights_only=False)["state_dict"] for one in (run, reference))
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[key], other[key]) for key in mine)
    curves = [pd.read_csv(one.path / "metrics.csv")["step"] for one in (run, reference)]
    assert curves[0].tolist() == curves[1].tolist()
