"""Sweeps on a real SLURM: whatever happens to a job, its run ends as if nothing had happened.

    pytest -m slurm tests/sweeps/test_slurm_stops.py

The SLURM may be a single node with two processors and no accounting. Jobs that are queued again are told to start at
once, which SLURM puts off for two minutes by default.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from segbench.runs.directory import RunDirectory
from tests.made_runs import TINY
from tests.sweeps.slurm_queue import scontrol
from tests.sweeps.slurm_sweep import (
    LAUNCHER,
    MARKS,
    ROOT,
    array_of,
    beginning,
    check_same,
    finish,
    job_of,
    run_until_end,
    start,
    tasks,
    the_run,
    wait_for,
)

pytestmark = MARKS

RUN = "trainer.max_steps=60", "trainer.validate_every=20", "trainer.checkpoint_every=10", "callbacks=waiting"

WAITING = """
import os, time
from pathlib import Path

from lightning import Callback

class Wait(Callback):
    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step != 35 or "SLURM_JOB_ID" not in os.environ or Path("waits").exists():
            return
        Path("waits").touch()
        (stopper,) = (one for one in trainer.callbacks if hasattr(one, "received"))
        while stopper.received is None and not Path("goes_on").exists():
            time.sleep(0.1)
"""
"""A callback of a user's own: at step 35 the run waits, once, for what may happen to it, on a machine of any speed."""


def begin(here: Path, *arguments: str, tiny=TINY) -> subprocess.Popen[str]:
    """Starts a sweep whose run waits once."""
    (here / "mine").mkdir(exist_ok=True)
    (here / "mine/waiting.py").write_text(WAITING)
    (here / "conf/callbacks").mkdir(parents=True, exist_ok=True)
    (here / "conf/callbacks/waiting.yaml").write_text("wait:\n  _target_: waiting.Wait\n")
    own = f"--config-dir={here / 'conf'}", "hydra.sweep.dir=sweep"
    return start(here, *own, *RUN, *arguments, tiny=tiny, PYTHONPATH=f"{here / 'mine'}:{ROOT}")


def training(here: Path) -> int:
    """The process that trains, once it waits."""
    wait_for((here / "waits").exists)
    (lock,) = (run.path / ".lock" for run in tasks(here)[-1:])
    return int(lock.read_text().split()[1])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> RunDirectory:
    here = tmp_path_factory.mktemp("reference")
    finish(begin(here))
    return the_run(here)


def test_the_command_may_be_stopped_and_started_again(here, uninterrupted):
    process = begin(here, *LAUNCHER)
    training(here)
    process.send_signal(signal.SIGINT)
    assert "the jobs go on" in finish(process, 130)
    assert scontrol("show", "job", job_of(here)).count("JobState=RUNNING") == 1
    process = begin(here, *LAUNCHER)
    assert process.stdout is not None
    assert "SLURM has 1 of the runs already" in process.stdout.readline()
    (here / "goes_on").touch()
    assert "submitted" not in run_until_end(process)
    check_same(the_run(here), uninterrupted)


@pytest.mark.parametrize(
    "disturb",
    [
        pytest.param(lambda job: ["scancel", "--signal=USR2", job], id="usr2"),
        pytest.param(lambda job: ["scancel", "--signal=TERM", job], id="term"),
        pytest.param(lambda job: ["scancel", "--signal=INT", job], id="int"),
        pytest.param(lambda job: ["scancel", "--signal=TERM", "--batch", job], id="term-to-the-script"),
        pytest.param(lambda job: ["scancel", "--signal=USR2", "--full", job], id="usr2-to-all"),
        pytest.param(lambda job: ["scontrol", "requeue", job], id="requeue"),
    ],
)
def test_a_disturbed_job_is_queued_again_and_goes_on(here, uninterrupted, disturb):
    process = begin(here, *LAUNCHER, "hydra.launcher.retries=0")
    training(here)
    subprocess.run(disturb(job_of(here)), check=True)
    run_until_end(process)
    run = the_run(here)
    assert run.record["hardware"]["slurm"]["restarts"] == 1
    check_same(run, uninterrupted)


def test_a_preempted_job_goes_on(here, uninterrupted):
    partitions = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, check=True).stdout.split()
    if "urgent" not in partitions:
        pytest.skip("this SLURM has no partition 'urgent' whose jobs preempt those of others")
    process = begin(here, *LAUNCHER, "hydra.launcher.retries=0")
    training(here)
    urgent = "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 3"
    subprocess.run(["sbatch", *urgent], check=True, capture_output=True)
    run_until_end(process)
    run = the_run(here)
    assert run.record["hardware"]["slurm"]["restarts"] == 1
    check_same(run, uninterrupted)


@pytest.mark.parametrize("number", ["USR2", "TERM", "INT"])
def test_a_signal_at_the_start_of_a_job(here, number):
    """Sooner than SLURM can send one it may have begun: the job is queued again all the same."""
    process = start(here, *LAUNCHER, "hydra.sweep.dir=sweep", "hydra.launcher.retries=0")
    job = beginning(here)
    subprocess.run(["scancel", f"--signal={number}", job], check=True)
    run_until_end(process)
    assert the_run(here).finished
    assert "Restarts=1" in scontrol("show", "job", "-o", job)


def test_a_signal_at_the_start_of_a_job_that_may_not_be_queued_again(here):
    arguments = *LAUNCHER, "hydra.sweep.dir=sweep", "hydra.launcher.retries=0"
    process = start(here, *arguments, "hydra.launcher.requeues=0")
    job = beginning(here)
    subprocess.run(["scancel", "--signal=TERM", job], check=True)
    out = run_until_end(process, 2)
    assert "1 of 1 runs stopped: " in out
    assert re.search("(was )?stopped by SIGTERM.*; the same command (goes on|continues the run)", out)
    assert tasks(here)[0].status == "interrupted"
    assert "1 finished" in run_until_end(start(here, *arguments))


def test_a_run_of_several_processes_stops_and_goes_on(here):
    """Both get the signal, stop at the same step, and go on from there."""
    two = "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "model.norm=instance"
    launcher = "hydra/launcher=slurm_ddp", "hydra.launcher.gpus_per_node=null", *LAUNCHER[1:]
    tiny = [one for one in TINY if one != "trainer=debug"]
    process = begin(here, *two, *launcher, "hydra.launcher.retries=0", tiny=tiny)
    training(here)
    subprocess.run(["scancel", "--signal=USR2", job_of(here)], check=True)
    run_until_end(process)
    assert the_run(here).finished
    assert the_run(here).record["hardware"]["slurm"]["restarts"] == 1
    steps = pd.read_csv(the_run(here).path / "metrics.csv")["step"]
    assert steps.is_monotonic_increasing
    assert steps.is_unique


def test_an_array_that_is_queued_again_as_a_whole(here):
    """Finished runs see that they are, and stay so."""
    process = begin(here, "trainer.max_steps=20,60", *LAUNCHER, "hydra.launcher.retries=0")
    training(here)
    wait_for(lambda: tasks(here)[0].finished)
    first, second = tasks(here)
    before = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file() and path.name != "run.log"}
    array = array_of(here)
    subprocess.run(["scontrol", "requeue", array], check=True)
    assert "2 runs: 2 finished" in run_until_end(process)
    assert before == {path: path.read_bytes() for path in before}
    told = scontrol("show", "job", "-o", array).splitlines()
    assert [line.count("Restarts=1 ") for line in told] == [1, 1]
    finish(begin(here, "trainer.max_steps=20,60", "hydra.sweep.dir=reference"))
    for run in (first, second):
        check_same(RunDirectory(run.path), RunDirectory(here / "reference" / run.path.name))


def test_a_time_limit_shorter_than_the_last_run_of_an_array(here):
    """The run that began last waits for its time limit: the number of its job is that of the array, and so of all.

    SLURM looks at time limits about every half minute, and may give the signal a minute too soon.
    """
    limit = "hydra.launcher.timeout_min=3", "hydra.launcher.signal_delay_s=60", "hydra.launcher.retries=0"
    run_until_end(begin(here, "trainer.max_steps=20,60", *LAUNCHER, *limit))
    array = array_of(here)
    assert f"JobId={array} ArrayJobId={array} ArrayTaskId=1 " in scontrol("show", "job", "-o", array)
    restarts = [run.record["hardware"]["slurm"]["restarts"] for run in tasks(here)]
    assert restarts[1] >= 1
    for task, count in enumerate(restarts):  # none has begun after its last start
        assert (here / f"sweep/slurm/{array}_{task}_0_log.out").read_text().count("Loading pickle") <= count + 1
    finish(begin(here, "trainer.max_steps=20,60", "hydra.sweep.dir=reference"))
    for run in tasks(here):
        check_same(run, RunDirectory(here / "reference" / run.path.name))


def test_a_killed_step_is_tried_again(here, uninterrupted):
    process = begin(here, *LAUNCHER)
    os.kill(training(here), signal.SIGKILL)
    out = run_until_end(process)
    assert "trying 1 again (1 of 1)" in out
    check_same(the_run(here), uninterrupted)


def test_without_retries_it_is_named_and_the_same_command_goes_on(here, uninterrupted):
    process = begin(here, *LAUNCHER, "hydra.launcher.retries=0")
    os.kill(training(here), signal.SIGKILL)
    out = run_until_end(process, 2)
    assert re.search(r"1 of 1 runs failed: \S+: SLURM job \d+ ended as failed \(exit code", out)
    run_until_end(begin(here, *LAUNCHER))
    check_same(the_run(here), uninterrupted)


def test_a_cancelled_job_is_not_submitted_again(here):
    process = begin(here, *LAUNCHER)
    training(here)
    subprocess.run(["scancel", job_of(here)], check=True)
    out = run_until_end(process, 2)
    assert "ended as cancelled" in out
    assert "trying" not in out


def test_a_node_that_goes_down_and_comes_back(here, uninterrupted):
    node = subprocess.run(["sinfo", "-h", "-o", "%n"], capture_output=True, text=True, check=True).stdout.split()[0]
    process = begin(here, *LAUNCHER)
    training(here)
    scontrol("update", f"NodeName={node}", "State=DOWN", "Reason=test")
    time.sleep(3)

    def ended() -> bool:  # SLURM drains a node on which a job could not be started
        scontrol("update", f"NodeName={node}", "State=RESUME")
        return process.poll() is not None

    wait_for(ended, 600)
    finish(process)
    check_same(the_run(here), uninterrupted)
