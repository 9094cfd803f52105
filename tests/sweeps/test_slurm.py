"""Sweeps on a real SLURM: what is submitted, which code and which files the jobs see, and what cannot be submitted.

    pytest -m slurm tests/sweeps/test_slurm.py

The SLURM may be a single node with two processors and no accounting.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from segbench.runs.directory import read_cases
from segbench.runs.sweep_record import read_waiting
from tests.data_sets import folder
from tests.made_runs import TINY
from tests.sweeps.slurm_queue import scontrol
from tests.sweeps.slurm_sweep import LAUNCHER, MARKS, ROOT, finish, job_of, run_until_end, start, the_run, wait_for

pytestmark = MARKS


def test_an_array_gives_what_the_sweep_in_one_process_gives(here):
    sweep = ("loss=dice,tversky", "seed=0,1")
    out = finish(start(here, *sweep, *LAUNCHER, "hydra.sweep.dir=there"))
    assert re.search(r"submitted 4 runs as SLURM job \d+", out)
    assert "4 runs: 4 finished" in out
    assert "Ranked by" in out
    finish(start(here, *sweep, "hydra.sweep.dir=here"))
    names = sorted(path.parent.name for path in here.glob("here/*/cases.csv"))
    assert len(names) == 4
    for name in names:
        pd.testing.assert_frame_equal(read_cases(here / "here" / name / "cases.csv"),
                                      read_cases(here / "there" / name / "cases.csv"))  # fmt: skip
    again = finish(start(here, *sweep, *LAUNCHER, "hydra.sweep.dir=there"))
    assert "4 of 4 runs are done already" in again
    assert "submitted" not in again
    more = finish(start(here, "loss=dice,tversky", "seed=0,1,2", *LAUNCHER, "hydra.sweep.dir=there"))
    assert "4 of 6 runs are done already" in more
    assert "submitted 2 runs" in more


def test_relative_paths_are_those_of_the_folder_of_the_command(here):
    """Of the data, of the runs that are stages, and of those that give their weights."""
    folder(here / "images")
    tiny = [one for one in TINY if not one.startswith("data.dataset")]
    tiny += ["data=folder", "data.root=images", "data.cache=cache", "folds=3"]
    finish(start(here, "fold=0,1,2", "hydra.sweep.dir=first", tiny=tiny))
    stages = "fold=0,1", "stages={coarse: first}", "data.input_arrays=[coarse]", "hydra.sweep.dir=second"
    assert "2 runs: 2 finished" in finish(start(here, *stages, *LAUNCHER, tiny=tiny))
    (weights,) = here.glob("first/fold0-*")
    warm = "fold=0", f"initial_weights=first/{weights.name}", "seed=0,1", "hydra.sweep.dir=third"
    assert "2 runs: 2 finished" in finish(start(here, *warm, *LAUNCHER, tiny=tiny))
    assert "2 of 2 runs are done already" in finish(start(here, *warm, *LAUNCHER, tiny=tiny))


def test_changed_code_is_refused_and_queued_jobs_do_not_see_it(here):
    checkout = here / "checkout"
    for part in ("segbench", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    arguments = (*LAUNCHER, "hydra.sweep.dir=sweep", "data.root=null")
    finish(start(checkout, "seed=0", *arguments))
    (checkout / "segbench/commands/train.py").write_text("raise RuntimeError('broken by an edit')\n")
    out = finish(start(checkout, "seed=0,1", *arguments), 2)
    assert "segbench/commands/train.py" in out
    assert "hydra.launcher.code=keep" in out
    finish(start(checkout, "seed=0,1", *arguments, "hydra.launcher.code=keep"))
    assert len(list(checkout.glob("sweep/*/cases.csv"))) == 2


def test_queued_jobs_do_not_see_changes_of_the_users_own_modules(here):
    network = here / "my_networks.py"
    network.write_text("from my_layers import layer\n\n\ndef net():\n    return layer()\n")
    (here / "my_layers.py").write_text("import torch\n\n\ndef layer():\n    return torch.nn.Conv2d(1, 4, 1)\n")
    own = "model=external", "model.net._target_=my_networks.net"
    tiny = [one for one in TINY if not one.startswith("model")]
    hold = "+hydra.launcher.additional_parameters.hold=true"
    process = start(here, *own, *LAUNCHER, hold, "hydra.sweep.dir=sweep", tiny=tiny)
    wait_for((here / "sweep/slurm/jobs.json").exists)
    network.write_text("raise RuntimeError('broken by an edit')\n")
    scontrol("release", job_of(here))
    run_until_end(process)
    assert the_run(here).finished


def test_jobs_that_can_never_start(here):
    asked = "sinfo", "-h", "-o", "%c"
    cpus = int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0].rstrip("+"))
    sweep = "seed=0,1", *LAUNCHER, "hydra.sweep.dir=sweep"
    process = start(here, *sweep, f"hydra.launcher.cpus_per_task={cpus + 2}")
    wait_for(lambda: "never" in "".join(read_waiting(here / "sweep")[0].values()))
    waits = f"such jobs can never start; each asks for {cpus + 2} CPUs, 1 GB, 240 min, the nodes of partition "
    status = [sys.executable, "-m", "segbench", "status", "runs=sweep"]
    seen = subprocess.run(status, cwd=here, capture_output=True, text=True, check=True).stdout
    assert re.search(f"2 wait: .*{waits}.* hydra.launcher.cpus_per_task={cpus}, .*ago", seen)
    time.sleep(35)  # it is said again
    process.send_signal(signal.SIGINT)
    out = finish(process, 130)
    assert f"jobs wait: SLURM says PartitionConfig: {waits}" in out
    assert f"2 wait: SLURM says PartitionConfig: {waits}" in out
    array = json.loads((here / "sweep/slurm/jobs.json").read_text()).popitem()[1].partition("_")[0]
    assert f"'scancel {array}'" in out
    subprocess.run(["scancel", array], check=True)
    assert "2 finished" in finish(start(here, *sweep, f"hydra.launcher.cpus_per_task={cpus}"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra.launcher.partition=nope"], "SLURM refuses the jobs: .*invalid partition"),
        (
            ["hydra.launcher.gpus_per_node=8"],
            "SLURM refuses the jobs: .*8 GPUs.*: change hydra.launcher.gpus_per_n",
        ),
        (["hydra.launcher.mem_gb=5000"], "SLURM refuses the jobs: .*5000 GB.*: change hydra.launcher.mem_gb="),
        (["hydra.launcher.constraint=a100"], "SLURM refuses the jobs: .*: change hydra.launcher.constraint=null"),
        (["hydra.launcher.tasks_per_node=2"], "tasks_per_node=2, but .* trainer.devices=1: they must be the same"),
        (["hydra.launcher.tasks_per_node=auto"], "tasks_per_node=auto: SLURM must be told how many"),
        (["hydra.launcher.timeout_min=3"], "hydra.launcher.timeout_min=3: jobs would be stopped as they begin"),
        (["hydra.launcher.poll=0"], "hydra.launcher.poll=0: must be above 0"),
        (["hydra.launcher.code=new"], "hydra.launcher.code=new: must be one of refuse, keep, renew"),
    ],
)
def test_what_cannot_be_submitted(here, arguments, message):
    out = finish(start(here, "hydra.sweep.dir=sweep", *LAUNCHER, *arguments), 2)
    (line,) = [line for line in out.splitlines() if line.startswith("segbench:")]
    assert re.search(message, line)
    assert not list(here.glob("sweep/*/run.json"))
