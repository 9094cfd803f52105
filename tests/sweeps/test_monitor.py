"""What is shown of a sweep that is executed elsewhere, from directories made by hand."""

import fcntl
import io
import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from segbench.sweeps import monitor as module
from segbench.sweeps.job import Job
from segbench.sweeps.monitor import Monitor

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(path: Path, status: str, minutes: float = 0, **facts: object) -> None:
    path.mkdir(parents=True, exist_ok=True)
    end = {"finished": (START + timedelta(minutes=minutes)).isoformat()} if status == "finished" else {}
    known = {"id": "0", "started": START.isoformat(), "budget": {"max_steps": 100}, "status": status}
    (path / "run.json").write_text(json.dumps(known | end | facts))


def curve(path: Path, step: int, dice: float) -> None:
    (path / "metrics.csv").write_text(f"step,validation/dice\n{step},{dice}\n")


@contextmanager
def held(path: Path):
    with (path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def jobs_in(folder: Path, *names: str) -> list[Job]:
    return [Job((), folder / name, "0", name) for name in names]


def pipe() -> Console:
    return Console(file=io.StringIO(), width=60)


def lines(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def test_counts_as_the_launcher_tells_them(tmp_path):
    jobs = jobs_in(tmp_path, *"abcdef")
    a, b, c, d, e, f = (job.path for job in jobs)
    record(a, "finished", minutes=10)
    record(b, "failed", error="the loss is nan [at] step 3")
    record(c, "failed")  # of an attempt before: it waits for the next
    record(d, "interrupted")
    monitor = Monitor(jobs, pipe())
    monitor.update(queued={c, f}, running={e})
    assert monitor.summary().startswith(
        "6 runs: [green]1 finished[/], [cyan]1 running[/], [default]2 queued[/], [red]1 failed[/], "
        "[yellow]1 interrupted[/]; "
    )


def test_remaining_time_is_that_of_what_waits_and_runs(tmp_path):
    jobs = jobs_in(tmp_path, *"abcd")
    a, b, c, d = (job.path for job in jobs)
    record(a, "finished", minutes=10)
    record(b, "failed")
    record(c, "running")
    curve(c, step=50, dice=0.5)
    with held(c), Monitor(jobs, pipe()) as monitor:
        monitor.update(queued={d}, running={c})
        assert monitor.summary().endswith("about 15 min left")  # half a run and a whole one


def test_a_line_for_each_end(tmp_path):
    jobs = jobs_in(tmp_path, "long_name_" * 8, "b", "c")
    a, b, c = (job.path for job in jobs)
    console = pipe()
    with Monitor(jobs, console) as monitor:
        monitor.update(queued={a, b, c}, running=())
        monitor.update(queued={c}, running={a, b})
        assert lines(console) == []
        record(a, "finished", minutes=3, training={"steps": 100, "best_score": 0.8125})
        record(b, "failed", error="UserError: a [bracket]")
        monitor.update(queued=(), running={c})
        monitor.update(queued=(), running={c})
        assert lines(console) == [
            f"finished {a.name}: validation dice 0.812, 3 min",
            "failed b: UserError: a [bracket]",
        ]
        monitor.update(queued=(), running=())
        assert lines(console)[2:] == ["stopped c before it had begun"]
    assert lines(console)[3:] == ["3 runs: 1 finished, 1 failed, 1 stopped"]


def test_what_had_ended_before_is_no_news(tmp_path):
    jobs = jobs_in(tmp_path, "a")
    record(jobs[0].path, "finished", minutes=1)
    console = pipe()
    with Monitor(jobs, console) as monitor:
        monitor.update()
        monitor.update()
    assert lines(console) == ["1 runs: 1 finished"]


def test_from_the_directories_alone(tmp_path):
    jobs = jobs_in(tmp_path, *"ab")
    a, _ = (job.path for job in jobs)
    monitor = Monitor(jobs, pipe())
    record(a, "running")
    with held(a):
        monitor.update()
        assert "1 running" in monitor.summary()
        assert "1 queued" in monitor.summary()
    monitor.update()
    assert "1 stopped" in monitor.summary()


def test_a_quick_attempt_between_two_looks_is_seen(tmp_path):
    jobs = jobs_in(tmp_path, "a")
    path = jobs[0].path
    monitor = Monitor(jobs, pipe())
    record(path, "failed")
    monitor.update(queued=(), running=())
    assert "1 failed" in monitor.summary()
    record(path, "finished", minutes=1)
    monitor.update(queued=(), running=())
    assert "1 finished" in monitor.summary()


def test_a_summary_now_and_then(tmp_path, monkeypatch):
    jobs = jobs_in(tmp_path, "a")
    console = pipe()
    monitor = Monitor(jobs, console)
    monitor.update(queued={jobs[0].path}, running=())
    assert lines(console) == []
    monkeypatch.setattr(module, "_LINE_EVERY", 0)
    monitor.update(queued={jobs[0].path}, running=())
    assert lines(console) == ["1 runs: 1 queued"]


@pytest.mark.parametrize("terminal", [True, False])
def test_why_runs_wait_is_said_again_and_again(tmp_path, monkeypatch, terminal):
    monkeypatch.setattr(module, "_LINE_EVERY", 0)
    jobs = jobs_in(tmp_path, "a", "b")
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    queued = {job.path for job in jobs}
    with Monitor(jobs, console) as monitor:
        for times in (1, 2):
            monitor.update(queued, (), ["2 wait: no [node] has 4 CPUs"])
            assert console.file.getvalue().count("2 wait: no [node] has 4 CPUs") == times
        monitor.update(queued, ())
        assert console.file.getvalue().count("2 wait") == 2


def test_on_a_terminal_the_running_ones_are_listed(tmp_path):
    jobs = jobs_in(tmp_path, *(f"run{k}" for k in range(30)))
    for job in jobs[:2]:
        record(job.path, "running")
        curve(job.path, step=40, dice=0.75)
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=12)
    with Monitor(jobs, console) as monitor:
        monitor.update(queued={job.path for job in jobs[10:]}, running={job.path for job in jobs[:10]})
    shown = console.file.getvalue()
    assert "10 running" in shown
    assert "40/100" in shown
    assert "0.750" in shown
    assert "and 4 more" in shown  # twelve lines are not enough for all
    assert "20 queued" in shown.splitlines()[-1]  # what stays when the display has gone


@pytest.mark.parametrize("known", [True, False])
def test_a_thousand_runs_are_looked_at_quickly(tmp_path, known):
    """Finished ones are read once, also where nobody tells what is queued and running."""
    jobs = jobs_in(tmp_path, *(f"run{k}" for k in range(1000)))
    for job in jobs[:500]:
        record(job.path, "finished", minutes=1, padding="x" * 5000)
    for job in jobs[500:600]:
        record(job.path, "failed", padding="x" * 5000)
    monitor = Monitor(jobs, pipe())
    sets = {"queued": {job.path for job in jobs[600:]}, "running": set()} if known else {}
    monitor.update(**sets)
    start = time.process_time()
    monitor.update(**sets)
    assert time.process_time() - start < 0.2
