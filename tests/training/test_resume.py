"""A run that is killed anywhere continues to the same result, to the bit."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch

from segbench.runs.criterion import Criterion
from segbench.runs.directory import RunDirectory, read_cases
from segbench.training.checkpoints import Checkpoints
from segbench.training.module import SegmentationModule
from tests.made_runs import execute

STEPS = ("trainer.max_steps=6", "trainer.validate_every=3", "model.dropout=0.3", "augmentation=standard")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill_in_training(step: int) -> None:
    original = SegmentationModule.training_step

    def training_step(self, batch, index):
        if self.global_step == step:
            _die()
        return original(self, batch, index)

    SegmentationModule.training_step = training_step


def _kill_in_validation(step: int) -> None:
    original = SegmentationModule.validation_step

    def validation_step(self, case, index, dataloader_idx=0):
        if self.global_step == step and index == 1:
            _die()
        return original(self, case, index, dataloader_idx)

    SegmentationModule.validation_step = validation_step


def _kill_in_checkpoint(count: int) -> None:
    """Half of the n-th checkpoint is on the disk."""
    import segbench.training.checkpoints as callbacks

    original, seen = callbacks.commit, []

    def commit(temporary: Path, path: Path) -> None:
        seen.append(path)
        if len(seen) == count:
            content = temporary.read_bytes()
            temporary.write_bytes(content[: len(content) // 2])
            _die()
        original(temporary, path)

    callbacks.commit = commit


def _kill_in_test(index_: int) -> None:
    original = SegmentationModule.test_step

    def test_step(self, case, index):
        if index == index_:
            _die()
        return original(self, case, index)

    SegmentationModule.test_step = test_step


def _kill_before_finish(_: int) -> None:
    RunDirectory.finish = lambda self, **facts: _die()


KILLS = {
    "training": _kill_in_training,
    "validation": _kill_in_validation,
    "checkpoint": _kill_in_checkpoint,
    "test": _kill_in_test,
    "finish": _kill_before_finish,
}


def _run(path: Path, kill: str | None, number: int, overrides: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    if kill is not None:
        KILLS[kill](number)
    execute(path, *overrides)


@pytest.fixture(scope="module")
def processes():
    """Processes that start with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["segbench.training.run", "tests.test_resume"])

    def launch(path: Path, kill: str | None = None, number: int = 0, overrides: tuple[str, ...] = STEPS) -> int:
        process = context.Process(target=_run, args=(path, kill, number, overrides))
        process.start()
        process.join(240)
        assert process.exitcode is not None
        return process.exitcode

    return launch


@pytest.fixture(scope="module")
def uninterrupted(processes, tmp_path_factory):
    path = tmp_path_factory.mktemp("uninterrupted")
    assert processes(path) == 0
    return path


def _weights(path: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(path / "checkpoints" / name, weights_only=False)["state_dict"]


@pytest.mark.parametrize(
    ("kill", "number"),
    [("training", 1), ("training", 3), ("training", 5), ("validation", 3), ("checkpoint", 1), ("checkpoint", 2),
     ("checkpoint", 3), ("test", 0), ("test", 1), ("finish", 0)],
)  # fmt: skip
def test_a_killed_run_ends_as_if_it_had_not_been(processes, uninterrupted, tmp_path, kill, number):
    assert processes(tmp_path, kill, number) == -signal.SIGKILL
    directory = RunDirectory(tmp_path)
    assert directory.status == "running"
    assert processes(tmp_path) == 0
    directory = RunDirectory(tmp_path)
    assert directory.finished
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = _weights(tmp_path, name), _weights(uninterrupted, name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert read_cases(directory.cases).equals(read_cases(uninterrupted / "cases.csv"))
    assert (tmp_path / "metrics.csv").read_text() == (uninterrupted / "metrics.csv").read_text()
    assert not [path for path in tmp_path.rglob("*.tmp")]


def test_weights_do_change_with_the_seed(processes, uninterrupted, tmp_path):
    assert processes(tmp_path, overrides=(*STEPS, "seed=1")) == 0
    ours, theirs = _weights(tmp_path, "last.ckpt"), _weights(uninterrupted, "last.ckpt")
    assert not all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_workers_do_not_change_the_result(processes, uninterrupted, tmp_path):
    assert processes(tmp_path, overrides=(*STEPS, "data.workers=2")) == 0
    ours, theirs = _weights(tmp_path, "last.ckpt"), _weights(uninterrupted, "last.ckpt")
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(
    "extra",
    ["scheduler=plateau", "callbacks=ema", "optimizer=sgd_momentum",
     "optimizer=adam_then_sgd optimizer.gap=-1 optimizer.patience=1 trainer.gap_cases=2"],
)  # fmt: skip
def test_all_state_is_in_the_checkpoint(processes, tmp_path, extra):
    overrides = (*STEPS, *extra.split())
    assert processes(tmp_path / "whole", overrides=overrides) == 0
    assert processes(tmp_path / "killed", "training", 5, overrides) == -signal.SIGKILL
    assert processes(tmp_path / "killed", overrides=overrides) == 0
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = _weights(tmp_path / "killed", name), _weights(tmp_path / "whole", name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_run_that_stopped_early_stays_stopped(processes, tmp_path):
    early = ("callbacks=early_stopping", "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1")
    overrides = ("trainer.max_steps=9", "trainer.validate_every=1", *early)
    assert processes(tmp_path / "whole", overrides=overrides) == 0
    assert processes(tmp_path / "killed", "test", 1, overrides) == -signal.SIGKILL
    assert processes(tmp_path / "killed", overrides=overrides) == 0
    whole, killed = (RunDirectory(tmp_path / name).record["training"]["steps"] for name in ("whole", "killed"))
    assert whole == killed == 2


def test_checkpoints_state_round_trips(tmp_path):
    first = Checkpoints(RunDirectory(tmp_path), None, Criterion(), None)
    first.best_score, first.best_step = 0.5, 3
    second = Checkpoints(RunDirectory(tmp_path), None, Criterion(), None)
    second.load_state_dict(first.state_dict())
    assert (second.best_score, second.best_step) == (0.5, 3)
