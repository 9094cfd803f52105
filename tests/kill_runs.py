"""Kills runs at random moments and reruns them: nothing may be lost, and nothing may come out differently.

python tests/kill_runs.py [runs] [seed]

Each run is killed at the n-th time that it opens, flushes, renames or removes one of its files, makes a training step
or a case, or within a write, or some milliseconds later, or at a random time; one in three is killed again when it is
repeated. Whatever lies there after a kill must be whole. The repeated run must end with the same scores, weights,
curves, pictures and masks as one that was never killed. Prints a line per run; the exit code is 1 if one differs.
"""

import copy
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image

from tests.faults import PRELOADED, Command, Fault

RUN = (
    "data.dataset.cases=10", "data.dataset.size=[96,96]", "data.patch_size=[32,32]", "data.batch_size=2",
    "model.channels=[4,8]", "model.dropout=0.3", "augmentation=standard", "trainer=debug", "trainer.progress=false",
    "trainer.max_steps=6", "trainer.validate_every=3", "trainer.checkpoint_every=1", "metrics=overlap",
    "loss=cross_entropy",
    "predictions=true",
)  # fmt: skip

VARIANTS = {
    "plain": ("data.workers=0", "logger=csv"),
    "wandb": ("data.workers=0", "logger=wandb"),
    "workers": ("data.workers=2", "logger=csv"),
}
"""How runs are executed, in turn; the result is the same."""

PHASES = {
    "start": ("run directory", ".lock", "checkpoints", "config.yaml", "split.json", "run.log"),
    "decoding": ("decoded",),
    "training": ("training step",),
    "validation": ("validation case",),
    "curves": ("metrics.csv",),
    "last checkpoint": ("last.ckpt",),
    "best checkpoint": ("best.ckpt",),
    "evaluation": ("test case",),
    "predictions": ("predictions",),
    "scores": ("cases.csv",),
    "pictures": ("previews", "curves.png"),
    "record": ("run.json",),
    "W&B": ("wandb",),
}
"""The phases of a run, by what the names of their moments contain."""

TIMES = ("second", "time")
"""What is in the name of a column of metrics.csv that may differ."""

Moments = dict[str, list[int]]
"""How large the file was each time that a moment passed."""


def main(runs: int = 50, seed: int = 0) -> int:
    """Kills so many runs; returns how many of them came out wrong."""
    Command.start_method = "fork"
    for name in PRELOADED:
        importlib.import_module(name)
    rng = random.Random(seed)
    wrong = 0
    reached: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        plain, wandb = (Reference(Path(place, name), VARIANTS[name]) for name in ("plain", "wandb"))
        # How a run is executed is in config.yaml, and not in the result.
        complaints = [one for one in differences(wandb.folder, plain.folder) if "config" not in one]
        assert not complaints, f"with W&B: {complaints}"
        references = [plain, wandb, plain.executed_with(VARIANTS["workers"])]
        order = phases(rng)
        for number in range(runs):
            phase, reference = next(order), references[number % len(references)]
            if (fault := fault_in(phase, reference, rng)) is None:  # only one of them logs to W&B
                reference = references[1]
                fault = fault_in(phase, reference, rng)
                assert fault is not None, phase
            complaints, killed = attempt(Path(place, "run"), reference, fault, rng)
            reached[phase] += killed
            wrong += bool(complaints)
            print(f"{number + 1:3} {phase}: {'; '.join(complaints) or 'the same result'}", flush=True)
    print(f"{runs - wrong} of {runs} runs ended with nothing lost and the same result; killed in", end=" ")
    print(", ".join(f"{phase} {count}" for phase, count in sorted(reached.items())))
    return wrong


class Reference:
    """A run that nobody kills: what comes of it, and which moments it has.

    Args:
        folder: gets `run` and `cache`.
        variant: how it is executed.
    """

    def __init__(self, folder: Path, variant: Sequence[str]) -> None:
        self.folder = folder
        self.variant = variant
        self.arguments = (*RUN, *variant)
        record = folder.with_suffix(".moments")
        since = time.monotonic()
        code, text = Command(self.arguments, folder, record=record).wait()
        self.seconds = time.monotonic() - since
        assert code == 0, f"exit code {code}: {text}"
        self.moments: Moments = {}
        for line in record.read_text().splitlines():
            moment, size = json.loads(line)
            self.moments.setdefault(moment, []).append(size)

    def executed_with(self, variant: Sequence[str]) -> "Reference":
        """The same result and the same moments, for runs that are executed in another way."""
        other = copy.copy(self)
        other.variant, other.arguments = variant, (*RUN, *variant)
        return other


def phases(rng: random.Random) -> Iterator[str]:
    """All phases and three times as many random times, in random order, again and again."""
    names = [*PHASES, *["random time"] * 3]
    while True:
        yield from rng.sample(names, len(names))


def fault_in(phase: str, reference: Reference, rng: random.Random) -> Fault | float | None:
    """A fault at a random moment of a phase, or a random time; None where the run has no such phase."""
    if phase == "random time":
        return rng.uniform(0, reference.seconds)
    moments = [moment for moment in reference.moments if any(name in moment for name in PHASES[phase])]
    if not moments:
        return None
    moment = rng.choice(moments)
    number = rng.randrange(len(reference.moments[moment]))
    what = rng.choice(["kill", "kill tree", "delay"] + ["torn"] * 2 * moment.startswith("open"))
    amount = 0.0
    if what == "delay":
        amount = rng.uniform(0, 0.02)
    elif what == "torn":
        sizes = reference.moments.get(moment.replace("open", "flush"), [1000])
        amount = rng.randrange(max(1, sizes[min(number, len(sizes) - 1)]))
    return Fault(what, moment, number, amount)


def attempt(folder: Path, reference: Reference, fault: Fault | float, rng: random.Random) -> tuple[list[str], bool]:
    """Kills a run, looks at what it left, and repeats it to its end.

    Returns:
        What is wrong, and whether the run was killed before its end.
    """
    shutil.rmtree(folder, ignore_errors=True)
    complaints: list[str] = []
    killed = killed_by(Command(reference.arguments, folder, fault if isinstance(fault, Fault) else None), fault)
    told = [f"{fault}" if isinstance(fault, Fault) else f"kill after {fault:.2f} s", "" if killed else "not reached"]
    complaints += damage(folder, reference.folder)
    if rng.random() < 1 / 3:
        delay = rng.uniform(0, reference.seconds)
        again = killed_by(Command(reference.arguments, folder), delay)
        told.append(f"again after {delay:.2f} s" if again else "")
        complaints += damage(folder, reference.folder)
    code, text = Command(reference.arguments, folder).wait()
    if code != 0:
        complaints.append(f"the repeated run ended with {code}: {text.strip()}")
    else:
        complaints += differences(folder, reference.folder)
    print(f"    {', '.join(filter(None, told))} ({', '.join(reference.variant)})", flush=True)
    return complaints, killed


def killed_by(command: Command, fault: Fault | float) -> bool:
    """Waits for the end of a command, which comes by itself or after so many seconds; whether it was killed."""
    if not isinstance(fault, Fault):
        command.process.join(fault)
        command.kill()
    code, text = command.wait()
    if code not in (0, -signal.SIGKILL, -signal.SIGALRM, -signal.SIGXFSZ):
        raise AssertionError(f"a run that was to be killed ended with {code}: {text}")
    return code != 0


def damage(folder: Path, reference: Path) -> Iterator[str]:
    """What a kill has left that is not whole, or that another run would take for something that it is not."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or path.name.endswith(".tmp") or ".tmp" in str(name.parent) or name.parts[0] == "wandb":
            continue
        if name.parts[:2] == ("run", "wandb") or path.name in ("run.log", ".lock") or path.suffix == ".lock":
            continue  # logs to which lines are added, and locks
        if not (reference / name).exists() and name.parts[0] == "run" and path.name != "former.ckpt":
            yield f"{name} is no file of a run"
            continue
        try:
            _read(path)
        except Exception as error:
            yield f"{name} is not whole: {error}"
        if path.name in ("cases.csv", "split.json") and path.read_bytes() != (reference / name).read_bytes():
            yield f"{name} differs"
    record = folder / "run" / "run.json"
    if record.exists() and json.loads(record.read_text())["status"] == "finished":
        yield from differences(folder, reference)


def _read(path: Path) -> object:
    """Reads a file to its end, whatever it is."""
    if path.suffix == ".ckpt":
        return torch.load(path, weights_only=False)["state_dict"]
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".yaml":
        return yaml.safe_load(path.read_text())
    if path.suffix == ".png":
        return np.asarray(Image.open(path))
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".csv":
        assert path.read_bytes().endswith(b"\n"), "the last line is cut off"
        return pd.read_csv(path)
    raise AssertionError("nobody knows what it is")


def differences(folder: Path, reference: Path) -> Iterator[str]:
    """Where a finished run differs from one that was never killed."""
    ours, theirs = folder / "run", reference / "run"
    left = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith(".tmp")]
    if left:
        yield f"left over: {', '.join(left)}"
    for name in ("cases.csv", "split.json", "config.yaml"):
        if _text(ours / name) != _text(theirs / name):
            yield f"{name} differs"
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (torch.load(path / "checkpoints" / name, weights_only=False) for path in (ours, theirs))
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
            if not _equal(one[key], other[key]):
                yield f"{key} of {name} differs"
    one, other = (pd.read_csv(path / "metrics.csv") for path in (ours, theirs))
    kept = [name for name in other if not any(word in name for word in TIMES)]
    if list(one) != list(other) or not one[kept].equals(other[kept]):
        yield "metrics.csv differs"
    for pattern in ("previews/*.png", "curves.png", "predictions/*"):
        one, other = ({path.name: path.read_bytes() for path in place.glob(pattern)} for place in (ours, theirs))
        if one != other:
            yield f"{pattern} differ"
    one, other = (json.loads((path / "run.json").read_text()) for path in (ours, theirs))
    if one["status"] != "finished" or one["error"] is not None:
        yield f"run.json says {one['status']}, {one['error']}"
    for key in ("id", "name", "dataset", "budget", "metrics"):
        if one[key] != other[key]:
            yield f"{key} of run.json differs"
    changing = {"seconds"}
    if {k: v for k, v in one["training"].items() if k not in changing} != {
        k: v for k, v in other["training"].items() if k not in changing
    }:
        yield "training of run.json differs"
    for path in (reference / "cache").rglob("*"):
        same = folder / path.relative_to(reference)
        if path.is_file() and path.suffix != ".lock" and (not same.exists() or same.read_bytes() != path.read_bytes()):
            yield f"{path.relative_to(reference)} differs"


def _text(path: Path) -> str:
    """A text file, without the folder that the run is in and the number of its workers."""
    lines = path.read_text().splitlines() if path.exists() else []
    return "\n".join(line for line in lines if not line.strip().startswith(("cache:", "workers:")))


def _equal(one, other) -> bool:
    """Whether two nested values are the same to the bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
