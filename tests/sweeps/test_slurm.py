"""Sweeps on a real SLURM: whatever happens to a job, its run ends as if nothing had happened.

    pytest -m slurm tests/sweeps/test_slurm.py

The SLURM may be a single node with two processors and no accounting. Jobs that are queued again are told to start at
once, which SLURM puts off for two minutes by default.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from segbench.runs.directory import RunDirectory, read_cases
from segbench.runs.sweep_record import read_waiting
from tests.data_sets import folder
from tests.made_runs import TINY
from tests.sweeps.slurm_queue import scontrol, start_now

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("sbatch") is None, reason="there is no SLURM on this machine"),
]

ROOT = Path(__file__).parents[2]

LAUNCHER = (
    "hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1", "hydra.launcher.poll=1",
)  # fmt: skip
LONG = ("trainer.max_steps=2000", "trainer.validate_every=500", "trainer.checkpoint_every=100", "hydra.sweep.dir=sweep")


@pytest.fixture(autouse=True)
def _clean_queue():
    yield
    subprocess.run(["scancel", "--me"], check=False)


@pytest.fixture
def here(tmp_path) -> Path:
    return tmp_path


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


def wait_for(condition, seconds: float = 240):
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
    wait_for(lambda: process.poll() is not None, 600)
    return finish(process, code)


def the_run(here: Path) -> RunDirectory:
    (path,) = (path.parent for path in here.glob("sweep/*/config.yaml"))
    return RunDirectory(path)


def training(here: Path) -> int:
    """The process that trains, once its first checkpoint is written."""
    wait_for(lambda: list(here.glob("sweep/*/checkpoints/last.ckpt")))
    lock = the_run(here).path / ".lock"
    return int(lock.read_text().split()[1])


def job_of(here: Path) -> str:
    (job,) = json.loads((here / "sweep/slurm/jobs.json").read_text()).values()
    return job


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> RunDirectory:
    here = tmp_path_factory.mktemp("reference")
    finish(start(here, *LONG))
    return the_run(here)


def check_same(run: RunDirectory, reference: RunDirectory) -> None:
    assert run.finished
    pd.testing.assert_frame_equal(read_cases(run.cases), read_cases(reference.cases), check_exact=True)
    mine, other = (torch.load(one.last_checkpoint, weights_only=False)["state_dict"] for one in (run, reference))
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[key], other[key]) for key in mine)
    curves = [pd.read_csv(one.path / "metrics.csv")["step"] for one in (run, reference)]
    assert curves[0].tolist() == curves[1].tolist()


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


def test_the_command_may_be_stopped_and_started_again(here, uninterrupted):
    process = start(here, *LONG, *LAUNCHER)
    training(here)
    process.send_signal(signal.SIGINT)
    assert "the jobs go on" in finish(process, 130)
    assert scontrol("show", "job", job_of(here)).count("JobState=RUNNING") == 1
    again = run_until_end(start(here, *LONG, *LAUNCHER))
    assert "SLURM has 1 of the runs already" in again
    assert "submitted" not in again
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
    process = start(here, *LONG, *LAUNCHER, "hydra.launcher.retries=0")
    training(here)
    subprocess.run(disturb(job_of(here)), check=True)
    run_until_end(process)
    run = the_run(here)
    assert run.record["hardware"]["slurm"]["restarts"] == 1
    check_same(run, uninterrupted)


def beginning(here: Path) -> str:
    """The job, once its Python has begun: it still imports."""
    jobs = here / "sweep/slurm/jobs.json"
    wait_for(jobs.exists)
    log = here / f"sweep/slurm/{job_of(here)}_0_log.out"
    wait_for(lambda: log.exists() and "Starting with" in log.read_text())
    return job_of(here)


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
    assert f"1 of 1 runs were stopped: {the_name(here)}: " in out
    assert re.search("(was )?stopped by SIGTERM.*; the same command (goes on|continues the run)", out)
    assert RunDirectory(here / "sweep" / the_name(here)).status == "interrupted"
    assert "1 finished" in run_until_end(start(here, *arguments))


def the_name(here: Path) -> str:
    (name,) = json.loads((here / "sweep/slurm/jobs.json").read_text())
    return name


def test_an_array_that_is_queued_again_as_a_whole(here):
    """Those of its runs that are finished see that, and stay as they are."""
    sweep = "seed=0,1", "trainer.max_steps=200", "trainer.checkpoint_every=10", "hydra.launcher.array_parallelism=1"
    process = start(here, *sweep, *LAUNCHER, "hydra.sweep.dir=sweep", "hydra.launcher.retries=0")
    first, second = wait_for(lambda: tasks(here))
    wait_for(lambda: first.finished and second.last_checkpoint.exists())
    before = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file() and path.name != "run.log"}
    (array,) = {job.partition("_")[0] for job in json.loads((here / "sweep/slurm/jobs.json").read_text()).values()}
    subprocess.run(["scontrol", "requeue", array], check=True)
    out = run_until_end(process)
    assert "2 runs: 2 finished" in out
    assert {path: path.read_bytes() for path in before} == before
    told = scontrol("show", "job", "-o", array).splitlines()
    assert [line.count("Restarts=1 ") for line in told] == [1, 1]
    finish(start(here, *sweep[:3], "hydra.sweep.dir=reference"))
    for run in (first, second):
        check_same(RunDirectory(run.path), RunDirectory(here / "reference" / run.path.name))


def tasks(here: Path) -> list[RunDirectory]:
    """The runs in the order of their tasks, once they are submitted."""
    record = here / "sweep/slurm/jobs.json"
    names = json.loads(record.read_text()) if record.exists() else {}
    return [RunDirectory(here / "sweep" / name) for name in sorted(names, key=lambda name: int(names[name].split("_")[1]))]


def test_a_time_limit_shorter_than_the_last_run_of_an_array(here):
    """The run that began last waits for its time limit: the number of its job is that of the array, and so of all.

    SLURM looks at time limits about every half minute, and may give the signal a minute too soon.
    """
    sweep = "trainer.max_steps=20,60", "trainer.checkpoint_every=10", "callbacks=waiting"
    tiny, modules = (*TINY, f"--config-dir={_waiting_callback(here)}"), f"{here / 'mine'}:{ROOT}"
    limit = "hydra.launcher.timeout_min=3", "hydra.launcher.signal_delay_s=60", "hydra.launcher.retries=0"
    run_until_end(start(here, *sweep, *LAUNCHER, *limit, "hydra.sweep.dir=sweep", tiny=tiny, PYTHONPATH=modules))
    jobs = json.loads((here / "sweep/slurm/jobs.json").read_text())
    runs = {job.partition("_")[2]: RunDirectory(here / "sweep" / name) for name, job in jobs.items()}
    (array,) = {job.partition("_")[0] for job in jobs.values()}
    assert f"JobId={array} ArrayJobId={array} ArrayTaskId=1 " in scontrol("show", "job", "-o", array)
    restarts = {task: run.record["hardware"]["slurm"]["restarts"] for task, run in runs.items()}
    assert restarts["1"] >= 1
    for task, count in restarts.items():  # none has begun after its last start; SLURM alone counts what did not get far
        assert (here / f"sweep/slurm/{array}_{task}_0_log.out").read_text().count("Loading pickle") <= count + 1
    finish(start(here, *sweep, "hydra.sweep.dir=reference", tiny=tiny, PYTHONPATH=modules))
    for run in runs.values():
        check_same(run, RunDirectory(here / "reference" / run.path.name))


def _waiting_callback(here: Path) -> Path:
    """A callback of a user's own: in the first start of a job it waits, at a step, for the signal to stop."""
    (here / "mine").mkdir()
    (here / "mine/waiting.py").write_text(
        "import os, time\nfrom lightning import Callback\n\nclass Wait(Callback):\n"
        "    def on_train_batch_end(self, trainer, *args):\n"
        "        (stopper,) = (one for one in trainer.callbacks if hasattr(one, 'received'))\n"
        "        first = 'SLURM_JOB_ID' in os.environ and 'SLURM_RESTART_COUNT' not in os.environ\n"
        "        while first and trainer.global_step == 35 and stopper.received is None:\n"
        "            time.sleep(0.1)\n"
    )
    (here / "conf/callbacks").mkdir(parents=True)
    (here / "conf/callbacks/waiting.yaml").write_text("wait:\n  _target_: waiting.Wait\n")
    return here / "conf"


def test_a_killed_step_is_tried_again(here, uninterrupted):
    process = start(here, *LONG, *LAUNCHER)
    os.kill(training(here), signal.SIGKILL)
    out = run_until_end(process)
    assert "trying 1 again (1 of 1)" in out
    check_same(the_run(here), uninterrupted)


def test_without_retries_it_is_named_and_the_same_command_goes_on(here, uninterrupted):
    process = start(here, *LONG, *LAUNCHER, "hydra.launcher.retries=0")
    os.kill(training(here), signal.SIGKILL)
    out = run_until_end(process, 2)
    assert re.search(r"1 of 1 runs failed: \S+: SLURM job \d+ ended as failed \(exit code", out)
    run_until_end(start(here, *LONG, *LAUNCHER))
    check_same(the_run(here), uninterrupted)


def test_a_cancelled_job_is_not_submitted_again(here):
    process = start(here, *LONG, *LAUNCHER)
    training(here)
    subprocess.run(["scancel", job_of(here)], check=True)
    out = run_until_end(process, 2)
    assert "ended as cancelled" in out
    assert "trying" not in out


def test_a_node_that_goes_down_and_comes_back(here, uninterrupted):
    node = subprocess.run(["sinfo", "-h", "-o", "%n"], capture_output=True, text=True, check=True).stdout.split()[0]
    process = start(here, *LONG, *LAUNCHER)
    training(here)
    scontrol("update", f"NodeName={node}", "State=DOWN", "Reason=test")
    time.sleep(3)

    def ended() -> bool:  # SLURM drains a node on which a job could not be started
        scontrol("update", f"NodeName={node}", "State=RESUME")
        return process.poll() is not None

    wait_for(ended, 600)
    finish(process)
    check_same(the_run(here), uninterrupted)


def test_relative_paths_are_those_of_the_folder_of_the_command(here):
    """Of the data, of the runs that are stages, and of those that give their weights."""
    folder(here / "images")
    tiny = [one for one in TINY if not one.startswith("data.dataset")]
    tiny += ["data=folder", "data.root=images", "data.cache=cache", "folds=2"]
    finish(start(here, "fold=0,1", "hydra.sweep.dir=first", tiny=tiny))
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
        (["hydra.launcher.gpus_per_node=8"], "SLURM refuses the jobs: "),
        (["hydra.launcher.tasks_per_node=2"], "tasks_per_node=2, but .* trainer.devices=1: they must be the same"),
        (["hydra.launcher.poll=0"], "hydra.launcher.poll=0: must be above 0"),
        (["hydra.launcher.code=new"], "hydra.launcher.code=new: must be one of refuse, keep, renew"),
    ],
)
def test_what_cannot_be_submitted(here, arguments, message):
    out = finish(start(here, "hydra.sweep.dir=sweep", *LAUNCHER, *arguments), 2)
    (line,) = [line for line in out.splitlines() if line.startswith("segbench:")]
    assert re.search(message, line)
    assert not list(here.glob("sweep/*/run.json"))
