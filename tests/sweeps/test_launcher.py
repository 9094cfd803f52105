"""What all launchers have in common: skipping what is done, trying again, telling what failed."""

import json
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from segbench.errors import UserError
from segbench.runs.directory import RunDirectory
from segbench.runs.sweep_record import read_asked
from segbench.sweeps import launcher as module
from segbench.sweeps.job import Job
from segbench.sweeps.launcher import SweepLauncher


class Task:
    def __init__(self):
        self.failures = []

    def __call__(self, config):
        raise AssertionError("the launcher of this test executes nothing")


class Scripted(SweepLauncher):
    """Leaves in each run directory what its script says, one entry for each attempt."""

    def __init__(self, script, retries=0):
        super().__init__(retries)
        self.script = script
        self.rounds = []

    def execute(self, jobs):
        self.rounds.append([job.name for job in jobs])
        for job in jobs:
            attempt = sum(job.name in names for names in self.rounds) - 1
            job.path.mkdir(exist_ok=True)
            record = {"id": job.id, "name": job.name} | self.script[job.name][attempt]
            (job.path / "run.json").write_text(json.dumps(record))


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Executes a script as a sweep."""

    def execute(script, retries=0) -> Scripted:
        launcher = Scripted(script, retries)
        config = OmegaConf.create(
            {
                "logger": {},
                "hydra": {
                    "hydra_logging": None, "verbose": False, "sweep": {"dir": str(tmp_path)},
                    "runtime": {"choices": {"experiment": None}},
                },
            }
        )  # fmt: skip
        jobs = [Job((f"name={name}",), tmp_path / name, f"id of {name}", name) for name in script]
        monkeypatch.setattr(module, "plan", lambda *_: jobs)
        launcher.context, launcher.task, launcher.config = None, Task(), config
        results = launcher.launch([list(job.overrides) for job in jobs], 0)
        assert [result.status for result in results] == [JobStatus.COMPLETED] * len(jobs)
        return launcher

    return execute


DONE = {"status": "finished"}
BROKEN = {"status": "failed", "error": "RuntimeError: out of memory", "needs_user": False}
WRONG = {"status": "failed", "error": "optimizer.lr=-1: must be above 0", "needs_user": True}
STOPPED = {"status": "interrupted", "error": "stopped by SIGTERM"}


def test_what_broke_off_is_tried_again_and_what_the_user_must_mend_is_not(sweep, tmp_path):
    launcher = sweep({"good": [DONE], "twice": [BROKEN, DONE], "wrong": [WRONG], "stopped": [STOPPED, DONE]}, 1)
    assert launcher.rounds == [["good", "twice", "wrong", "stopped"], ["twice", "stopped"]]
    (failure,) = launcher.task.failures
    assert isinstance(failure, UserError)
    assert str(failure) == "1 of 4 runs failed: wrong: optimizer.lr=-1: must be above 0"
    assert list(read_asked(tmp_path)["runs"]) == ["good", "twice", "wrong", "stopped"]


def test_retries_come_to_an_end(sweep):
    launcher = sweep({"bad": [BROKEN] * 3}, 2)
    assert launcher.rounds == [["bad"]] * 3
    assert "1 of 1 runs failed: bad: RuntimeError: out of memory" in str(launcher.task.failures[0])


def test_what_is_done_is_skipped_and_what_is_newly_asked_for_is_added(sweep):
    assert sweep({"a": [DONE], "b": [BROKEN]}).rounds == [["a", "b"]]
    assert sweep({"a": [DONE], "b": [DONE], "c": [DONE]}).rounds == [["b", "c"]]
    launcher = sweep({"a": [DONE], "b": [DONE], "c": [DONE]})
    assert launcher.rounds == []
    assert not launcher.task.failures


def test_a_folder_of_another_run_is_not_taken_for_done(sweep, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/run.json").write_text(json.dumps(DONE | {"id": "another"}))
    assert not Job((), tmp_path / "a", "id of a", "a").done
    assert RunDirectory(tmp_path / "a").done


def test_runs_of_several_processes_are_refused(tmp_path):
    job = Job((), Path(tmp_path), "0", "a", processes=2)
    with pytest.raises(UserError, match="use hydra/launcher=slurm_ddp"):
        Scripted({}).check([job])
