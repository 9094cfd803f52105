"""What the launcher makes of a queue that changes; a real one is in test_slurm.py."""

import json
import os

import pytest
from omegaconf import OmegaConf

from segbench.runs.directory import RunDirectory
from segbench.sweeps.cluster import slurm
from segbench.sweeps.cluster.slurm import SlurmLauncher
from segbench.sweeps.cluster.squeue import Ending, Queued
from segbench.sweeps.job import Job

RUNNING, WAITING = Queued("RUNNING", "None"), Queued("PENDING", "Priority")


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Watches two runs, "a" as job 7_0 and "b" as 7_1, through a script of queues; SLURM forgets a job at once."""
    jobs = [Job((), tmp_path / name, name, name) for name in "ab"]

    def through(queues, endings) -> dict[str, dict]:
        launcher = SlurmLauncher(retries=0, requeues=1, poll=0.01, code="refuse")
        launcher.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
        launcher.files.mkdir()
        (launcher.files / "jobs.json").write_text(json.dumps({"a": "7_0", "b": "7_1"}))
        script = iter(queues)
        now = {}

        def look():
            now["queue"] = next(script)
            return now["queue"]

        def ending(job):
            assert job not in now["queue"]
            how = endings[job].pop(0)
            return Ending(how) if isinstance(how, str) else how

        monkeypatch.setattr(slurm, "queue", look)
        monkeypatch.setattr(slurm, "ending", ending)
        launcher._watch(jobs)
        assert next(script, None) is None
        return {job.name: RunDirectory(job.path).record for job in jobs}

    return through


def test_how_a_job_ended_is_asked_as_soon_as_it_is_gone(watch):
    """Minutes later SLURM has forgotten it, and a cancelled one would be submitted again."""
    records = watch(
        [{"7_0": RUNNING, "7_1": RUNNING}, {"7_1": RUNNING}, {"7_1": RUNNING}, {}],
        {"7_0": [Ending("cancelled (exit code 143:0)", 143)], "7_1": ["out of memory"]},
    )
    assert records["a"]["needs_user"]
    assert records["a"]["error"].startswith("SLURM job 7_0 ended as cancelled")
    assert not records["b"]["needs_user"]
    assert "out of memory" in records["b"]["error"]


def test_a_job_that_comes_back_has_not_ended(watch):
    """Between its end and its place in the queue a job that is queued again may be in neither."""
    records = watch([{"7_0": RUNNING, "7_1": WAITING}, {"7_1": RUNNING}, {"7_0": WAITING}, {}],
                    {"7_0": [None, "node fail"], "7_1": ["timeout"]})  # fmt: skip
    assert "node fail" in records["a"]["error"]


def test_the_last_job_comes_back(watch):
    records = watch([{"7_0": RUNNING}, {}, {"7_0": WAITING}, {}], {"7_0": [None, "timeout"], "7_1": ["failed"]})
    assert "timeout" in records["a"]["error"]


def test_a_run_that_a_signal_has_stopped_has_not_failed(watch):
    """Here before Python could write anything down; it was queued again as often as is allowed."""
    records = watch([{}], {"7_0": [Ending("failed (exit code 140:0)", 140)], "7_1": ["failed (exit code 1:0)"]})
    assert records["a"]["status"] == "interrupted"
    assert records["a"]["error"].startswith("SLURM job 7_0 was stopped by SIGUSR2 before the run began; the same")
    assert records["b"]["status"] == "failed"
    assert records["b"]["error"].startswith("SLURM job 7_1 ended as failed (exit code 1:0) before the run began: see ")


def test_a_finished_run_that_the_file_system_shows_late(watch, tmp_path, monkeypatch):
    """SLURM says that it completed: it is waited for, and its record not overwritten."""

    def appear(self, job):
        RunDirectory(job.path).open(job.id).start("", {"id": job.id})
        directory = RunDirectory(job.path)
        directory.finish()
        return True

    monkeypatch.setattr(SlurmLauncher, "_appears", appear)
    records = watch([{}], {"7_0": ["completed"], "7_1": ["completed"]})
    assert [record["status"] for record in records.values()] == ["finished", "finished"]


def test_jobs_are_submitted_as_from_a_login_node(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "4096")
    monkeypatch.setenv("MASTER_PORT", "1234")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    with slurm._outside_a_job():
        assert os.environ.keys() & {"SLURM_MEM_PER_CPU", "MASTER_PORT"} == set()
        assert (os.environ["SLURM_CONF"], os.environ["SBATCH_ACCOUNT"]) == ("/etc/slurm.conf", "mine")
    assert os.environ["SLURM_MEM_PER_CPU"] == "4096"
