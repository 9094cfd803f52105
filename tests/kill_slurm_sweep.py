"""Kills tasks of a sweep on a real SLURM at random moments: nothing may be lost, nothing may come out differently.

python tests/kill_slurm_sweep.py [kills] [seed]

A task that runs is killed by `kill -9` of its process or of its script, told to stop by a signal, put back into the
queue (alone, or with its whole array) or cancelled; or the watching command is killed. One kill in two is made while
the task trains, the others at random times. Where the command has ended before its runs have, it is repeated. A sweep
that has ended is compared with one that nobody disturbed: scores, weights, curves, pictures. A run that was finished
must not be touched again. Sweeps follow each other until so many kills have been made. Prints a line for each kill; the
exit code is 1 if anything differs. Cancels what it has submitted in the end.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from segbench.runs.directory import RunDirectory
from tests.kill_runs import differences
from tests.made_runs import TINY
from tests.sweeps.slurm_queue import jobs_in_state, start_now

SWEEP = (
    *TINY, "seed=0,1,2", "trainer.max_steps=60", "trainer.validate_every=20",
    "trainer.checkpoint_every=5", "hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=1", "hydra.launcher.poll=1", "hydra.launcher.retries=0",
)  # fmt: skip

RUNS = 3


def main(kills: int = 20, seed: int = 0) -> int:
    """Makes so many kills; returns the number of faults found."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        undisturbed = Sweep(Path(place, "undisturbed"))
        since = time.monotonic()
        undisturbed.go_on(until=lambda: False)
        span = time.monotonic() - since
        print(f"an undisturbed sweep of {RUNS} runs: {span:.0f} s", flush=True)
        made: Counter[str] = Counter()
        faults: list[str] = []
        order = kinds(rng)
        sweeps = commands = 0
        while made.total() < kills:
            sweeps += 1
            sweep = Sweep(Path(place, str(sweeps)))
            while made.total() < kills and not sweep.finished:
                moment = time.monotonic() + rng.uniform(0, span / 2)
                candidates = rng.choice([sweep.running, sweep.training])
                sweep.go_on(until=lambda moment=moment, ready=candidates: time.monotonic() >= moment and ready())
                if jobs := candidates():
                    kind, job = next(order), rng.choice(jobs)
                    where = sweep.phase(job)
                    if KILLS[kind](sweep, job):
                        made[kind] += 1
                        print(f"{made.total():3} {kind} of {job}, {where}", flush=True)
            sweep.go_on(until=lambda: False)
            commands += sweep.commands
            found = [*sweep.faults, *sweep.differences(undisturbed)]
            print(f"sweep {sweeps}: {'; '.join(found) or f'{RUNS} runs, the same results'}", flush=True)
            faults += found
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(made.items()))
    print(f"{made.total()} kills ({told}) of {sweeps} sweeps of {RUNS} runs, {commands} commands: {len(faults)} faults")
    return len(faults)


class Sweep:
    """A sweep in a folder, and the command that watches it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.command: subprocess.Popen[bytes] | None = None
        self.commands = 0
        self.kept: dict[Path, dict[Path, bytes]] = {}
        """The files of the runs that are finished, as they were then."""
        self.faults: list[str] = []

    def go_on(self, until: Callable[[], bool]) -> None:
        """Repeats the command whenever it has ended, until all runs are finished or something is true."""
        while not until() and not (self.finished and self._ended()):
            if self._ended():
                self._start()
            start_now()
            self._look()
            time.sleep(0.2)

    @property
    def runs(self) -> list[RunDirectory]:
        """The runs that have begun."""
        return [RunDirectory(path.parent) for path in sorted(self.folder.glob("sweep/*/run.json"))]

    @property
    def finished(self) -> bool:
        """Whether all are."""
        return sum(run.finished for run in self.runs) == RUNS

    def running(self) -> list[str]:
        """The jobs that have begun."""
        return sorted(jobs_in_state("R").keys() & self.jobs.values())

    def training(self) -> list[str]:
        """The jobs whose runs have a checkpoint, and are not done."""
        places = {job: RunDirectory(self.folder / "sweep" / name) for name, job in self.jobs.items()}
        return [job for job in self.running() if places[job].last_checkpoint.exists() and not places[job].done]

    @property
    def jobs(self) -> dict[str, str]:
        """The last job of each run, by its name."""
        record = self.folder / "sweep/slurm/jobs.json"
        jobs: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
        return jobs

    def phase(self, job: str) -> str:
        """How far the run of a job is."""
        log = next(iter(self.folder.glob(f"sweep/slurm/{job}_0_log.out")), None)
        lines = log.read_text().splitlines() if log else []
        return f"after {lines[-1].strip()[:60]!r}" if lines else "before its first word"

    def differences(self, other: "Sweep") -> Iterator[str]:
        """Where the results differ from those of another sweep, and files of finished runs that were changed."""
        for run in self.runs:
            name = run.path.name
            pair = [self.folder / f"compared_{name}", other.folder / f"compared_{name}"]
            for place, sweep in zip(pair, (self, other), strict=True):
                place.mkdir(exist_ok=True)
                if not (place / "run").exists():
                    (place / "run").symlink_to(sweep.folder / "sweep" / name)
            yield from (f"{name}: {one}" for one in differences(*pair))
        for path, files in self.kept.items():
            if files != _content(path):
                yield f"{path.name} was finished, and has been changed"

    def _ended(self) -> bool:
        code = None if self.command is None else self.command.poll()
        if code not in (None, 0, 2, -9):
            self.faults.append(f"the command ended with {code}")
        return self.command is None or code is not None

    def _start(self) -> None:
        self.commands += 1
        with (self.folder / "output.txt").open("ab") as output:
            self.command = subprocess.Popen(
                [sys.executable, "-m", "segbench", *SWEEP, "hydra.sweep.dir=sweep", "-m"],
                cwd=self.folder, stdout=output, stderr=output,
                env={**os.environ, "OMP_NUM_THREADS": "1", "SEGBENCH_CACHE": str(self.folder / "cache")},
            )  # fmt: skip

    def _look(self) -> None:
        for run in self.runs:
            if run.finished and run.path not in self.kept:
                self.kept[run.path] = _content(run.path)


def _content(path: Path) -> dict[Path, bytes]:
    """The files of a finished run, without the log to which a repeated command may add a line."""
    left_out = ("run.log", ".lock")
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name not in left_out}


def _kill_processes(job: str, word: bytes) -> bool:
    """Sends SIGKILL to the processes of a job whose command line has a word."""
    array, _, task = job.partition("_")
    named = {f"SLURM_ARRAY_JOB_ID={array}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode()}
    killed = False
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if named <= set((process / "environ").read_bytes().split(b"\0")):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if not words[0].endswith(b"srun") and any(word in one for one in words):
                    os.kill(int(process.name), signal.SIGKILL)
                    killed = True
        except OSError:
            continue  # it has ended by itself
    return killed


def _call(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _kill_command(sweep: Sweep, job: str) -> bool:
    assert sweep.command is not None
    sweep.command.kill()
    return sweep.command.wait() == -9


KILLS: dict[str, Callable[[Sweep, str], bool]] = {
    "kill -9": lambda sweep, job: _kill_processes(job, b"submitit"),
    "kill -9 of the script": lambda sweep, job: _kill_processes(job, b"slurm_script"),
    "scancel --signal=USR2": lambda sweep, job: _call("scancel", "--signal=USR2", job),
    "scancel --signal=TERM": lambda sweep, job: _call("scancel", "--signal=TERM", job),
    "scontrol requeue": lambda sweep, job: _call("scontrol", "requeue", job),
    "scontrol requeue of the array": lambda sweep, job: _call("scontrol", "requeue", job.partition("_")[0]),
    "scancel": lambda sweep, job: _call("scancel", job),
    "kill -9 of the command": _kill_command,
}
"""Ways to kill; each says whether there was anything to kill."""


def kinds(rng: random.Random) -> Iterator[str]:
    """All ways in random order, again and again."""
    while True:
        yield from rng.sample(list(KILLS), len(KILLS))


if __name__ == "__main__":
    try:
        sys.exit(bool(main(*map(int, sys.argv[1:3]))))
    finally:
        subprocess.run(["scancel", "--me", "--name=segbench-sweep"], check=False)
