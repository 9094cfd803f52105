"""Several runs at a time on one machine: who gets which GPU, who dies, who is stopped, and that scores are the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from segbench.errors import UserError
from segbench.runs.directory import RunDirectory, read_cases
from segbench.sweeps.job import Job
from segbench.sweeps.machine.gpus import chosen_gpus, listed_gpus, visible_gpus
from segbench.sweeps.machine.local import LocalLauncher
from tests.conftest import ROOT
from tests.made_runs import TINY, execute
from tests.sweeps import fake_work

HYDRA = {"overrides": {"hydra": []}, "runtime": {"config_sources": []}}


class FakeRuns(LocalLauncher):
    """Its processes train nothing."""

    work = staticmethod(fake_work.work)


def launcher(jobs: list[Job], accelerator: str = "cpu", **values: object) -> FakeRuns:
    made = FakeRuns(**values)
    made.config = OmegaConf.create({"hydra": HYDRA, "trainer": {"accelerator": accelerator}})
    made.check(jobs)
    return made


def jobs_in(folder: Path, *names: str) -> list[Job]:
    return [Job((), folder / name, "0", name) for name in names]


def notes(jobs: list[Job]) -> list[dict]:
    return [json.loads(note.read_text()) for job in jobs for note in sorted(job.path.glob("attempt*"))]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


LISTING = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa-0)
  MIG 3g.20gb     Device  0: (UUID: MIG-aa-1)
  MIG 3g.20gb     Device  1: (UUID: MIG-aa-2)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bb-0)
"""


def test_gpus_as_nvidia_smi_lists_them(tmp_path, monkeypatch):
    assert listed_gpus(LISTING) == ["MIG-aa-1", "MIG-aa-2", "GPU-bb-0"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{LISTING}'\n")
    program.chmod(0o755)
    assert visible_gpus() == ["MIG-aa-1", "MIG-aa-2", "GPU-bb-0"]
    program.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert visible_gpus() == []


@pytest.mark.parametrize(
    ("chosen", "names"),
    [("2,3", ["2", "3"]), (" GPU-a, MIG-b ", ["GPU-a", "MIG-b"]), ("", []), ("-1", []), ("0,-1,1", ["0"]),
     ("NoDevFiles", [])],
)  # fmt: skip
def test_what_is_visible_already_is_respected(monkeypatch, chosen, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == names


def test_gpus_that_are_asked_for(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-b,6")
    assert chosen_gpus([2, 1]) == ["6", "GPU-b"]
    assert chosen_gpus(["MIG-x"]) == ["MIG-x"]
    with pytest.raises(UserError, match="there is no GPU 3: 3 can be seen"):
        chosen_gpus([3])
    with pytest.raises(UserError, match="runs_per_gpu"):
        chosen_gpus([1, "GPU-b"])


def places(number: int, **values: object) -> list[tuple[str | None, str]]:
    found = launcher([Job((), Path(f"{k}"), "0", f"{k}") for k in range(number)], **values).places()
    return [(one.get("CUDA_VISIBLE_DEVICES"), one["OMP_NUM_THREADS"]) for one in found]


def test_places(monkeypatch):
    monkeypatch.setattr("segbench.sweeps.machine.local.cpu_count", lambda: 12)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-b")
    monkeypatch.delenv("OMP_NUM_THREADS")
    # on the CPU
    assert places(20) == [(None, "1")] * 12
    assert places(20, threads=4) == [(None, "4")] * 3
    assert places(20, threads=40) == [(None, "40")]
    assert places(20, at_once=3) == [(None, "4")] * 3
    assert places(20, at_once=3, threads=2) == [(None, "2")] * 3
    assert places(2) == [(None, "6")] * 2  # not more than there are runs
    # on GPUs, first one run on each
    assert places(20, accelerator="auto") == [("0", "6"), ("GPU-b", "6")]
    assert places(20, accelerator="auto", runs_per_gpu=2) == [("0", "3"), ("GPU-b", "3")] * 2
    assert places(20, accelerator="auto", runs_per_gpu=2, at_once=3) == [("0", "4"), ("GPU-b", "4"), ("0", "4")]
    assert places(1, accelerator="auto", runs_per_gpu=2) == [("0", "12")]
    assert places(20, accelerator="auto", gpus=[1], threads=5) == [("GPU-b", "5")]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert places(20) == [(None, "3")] * 4
    assert places(20, threads=6) == [(None, "6")] * 2


@pytest.mark.parametrize(
    ("values", "named"),
    [({"gpus": [7]}, "no GPU 7"),
     ({"at_once": 5, "runs_per_gpu": 2, "accelerator": "auto"}, "at_once=5: 2 GPUs take 2 each")],
)  # fmt: skip
def test_impossible_values(monkeypatch, values, named):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UserError, match=named):
        places(9, **values)


def test_runs_of_several_processes_are_refused():
    with pytest.raises(UserError, match="slurm_ddp"):
        launcher([Job((), Path("a"), "0", "a", processes=2)])


def test_gpus_are_dealt_out(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-b")
    jobs = jobs_in(tmp_path, *(f"run_{k}" for k in range(12)))
    these = launcher(jobs, accelerator="auto", runs_per_gpu=2, threads=1)
    these.execute(jobs[:7])  # as a search does
    these.execute(jobs[7:])
    assert all(job.done for job in jobs)
    found = notes(jobs)
    of_process = {one["pid"]: one["gpu"] for one in found}
    assert all(of_process[one["pid"]] == one["gpu"] for one in found)
    assert len(of_process) <= 4  # each executes several
    assert set(of_process.values()) == {"0", "GPU-b"}
    for moment in (one["start"] for one in found):
        at_once = Counter(one["gpu"] for one in found if one["start"] <= moment < one["end"])
        assert max(at_once.values()) <= 2
    these.close()
    assert not any(alive(pid) for pid in of_process)
    assert "7 runs: 7 finished" in capfd.readouterr().out


def test_a_process_that_dies_takes_only_its_run_with_it(tmp_path):
    jobs = jobs_in(tmp_path, "long", "dies", "exits", "raises", "run_1", "run_2")
    long, dies, exits, raises, *others = jobs
    these = launcher(jobs, at_once=2)
    these.execute(jobs)
    assert all(job.done for job in (long, *others))
    assert RunDirectory(dies.path).record["error"] == (
        "its process was killed by SIGKILL: by hand, or because the memory was full"
    )
    assert RunDirectory(exits.path).record["error"] == "its process died with exit code 3"
    assert "No space left" in RunDirectory(raises.path).record["error"]
    by_name = {job.name: note["pid"] for job, note in zip(jobs, notes(jobs), strict=True)}
    assert by_name["long"] not in (by_name["dies"], by_name["exits"])
    assert by_name["run_1"] not in (by_name["dies"], by_name["exits"])
    these.execute([dies, exits])
    assert dies.done
    assert exits.done
    these.close()


SCRIPT = """
import sys
from pathlib import Path
from segbench.errors import Stopped
from tests.sweeps.test_local import jobs_in, launcher
jobs = jobs_in(Path(sys.argv[1]), *sys.argv[2:])
try:
    launcher(jobs, at_once=2).execute(jobs)
except Stopped as stop:
    print(stop)
    sys.exit(128 + stop.number)
"""


@pytest.fixture
def sweep(tmp_path):
    """Starts a sweep in a process group of its own, as a shell does."""
    started = []

    def start(*names: str) -> tuple[subprocess.Popen, list[Job]]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "sweep"), *names]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        started.append(process)
        return process, jobs_in(tmp_path / "sweep", *names)

    yield start
    for process in started:
        process.kill()
        process.wait()
        for note in (tmp_path / "sweep").glob("*/attempt*"):
            pid = json.loads(note.read_text())["pid"]
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_runs_in_good_order(sweep, number):
    process, jobs = sweep("waits_1", "waits_2", "run_3")
    wait_for(lambda: all((job.path / "run.json").exists() for job in jobs[:2]))
    os.killpg(process.pid, number)  # to all of the group, as Ctrl-C
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    for job in jobs[:2]:
        assert RunDirectory(job.path).status == "interrupted"
        assert json.loads((job.path / "signals").read_text()) == [signal.SIGTERM]  # once
    assert not jobs[2].path.exists()
    assert not any(alive(note["pid"]) for note in notes(jobs))
    assert "3 runs: 1 queued, 2 interrupted" in said
    assert said.splitlines()[-1] == f"stopped by {number.name}; the same command continues the run"


def test_a_second_signal_does_not_wait(sweep):
    process, (job,) = sweep("stubborn")
    wait_for((job.path / "run.json").exists)
    process.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert not any(alive(note["pid"]) for note in notes([job]))


def test_nothing_outlives_a_parent_that_is_killed(sweep):
    process, jobs = sweep("waits_1", "waits_2", "run_3")
    wait_for(lambda: all((job.path / "run.json").exists() for job in jobs[:2]))
    process.kill()
    wait_for(lambda: not any(alive(note["pid"]) for note in notes(jobs)))
    assert [RunDirectory(job.path).status for job in jobs] == ["interrupted", "interrupted", None]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "segbench", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment)


def test_real_runs_beside_each_other(tmp_path):
    """The same scores as without a launcher; the images are decoded once; output goes to the runs' own files."""
    fixed = [*TINY, "data.dataset.seed=77", "data.workers=1", "trainer.max_steps=4", "trainer.progress=true"]
    sweep = ["loss=dice,cross_entropy", "hydra/launcher=local", "hydra.launcher.at_once=2", "-m"]
    done = command(*fixed, f"hydra.sweep.dir={tmp_path}/sweep", *sweep, SEGBENCH_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    runs = sorted(path.parent for path in (tmp_path / "sweep").glob("*/run.json"))
    assert len(runs) == 2
    assert sum((path / "run.log").read_text().count("decoding 10 cases") for path in runs) == 1
    for path in runs:
        assert "step 4/4" in (path / "output.log").read_text()
        loss = RunDirectory(path).record["choices"]["loss"]
        alone = execute(tmp_path / "alone" / loss, *fixed, f"loss={loss}", tiny=False)
        assert read_cases(alone.cases).equals(read_cases(path / "cases.csv"))
    assert "step 4/4" not in done.stdout
    assert "2 runs: 2 finished" in done.stdout
    assert (tmp_path / "sweep" / "comparison").is_dir()
