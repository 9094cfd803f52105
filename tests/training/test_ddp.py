"""Several processes of one run: they score every case once, and stop together."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from segbench.runs.directory import RunDirectory, read_cases
from tests.ddp import launch

__all__ = ["launch"]

# In float64 what the processes add up in another order differs by 1e-12, which flips no pixel. Flips leave no pixels
# without a label, of which the shares of a batch would have different numbers.
SAME = ("trainer.precision=64-true", "augmentation=flips", "model.norm=instance", "loss=cross_entropy",
        "data.batch_size=6", "trainer.max_steps=2", "trainer.validate_every=1")  # fmt: skip


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]


def same_scores(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    names = [column for column in one.columns if column != "value"]
    return one[names].equals(other[names]) and np.allclose(one["value"], other["value"], atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(("all_cases", "folds", "cases", "counts"), [(15, 3, 5, (2, 3)), (10, 5, 2, (3,))])
def test_every_case_is_scored_once_and_alike_by_any_number_of_processes(
    launch, tmp_path, all_cases, folds, cases, counts
):
    """Also where the cases cannot be dealt out evenly, and where some processes have none."""
    overrides = (*SAME, f"data.dataset.cases={all_cases}", f"folds={folds}")
    assert launch(tmp_path / "1", 1, *overrides) == [0]
    one = read_cases(tmp_path / "1" / "cases.csv")
    assert one["case"].nunique() == cases
    for count in counts:
        path = tmp_path / str(count)
        assert launch(path, count, *overrides) == [0] * count
        assert same_scores(one, read_cases(path / "cases.csv"))
        ours, theirs = _weights(path), _weights(tmp_path / "1")
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-9) for key in theirs)
        record, alone = RunDirectory(path).record, RunDirectory(tmp_path / "1").record
        assert record["id"] == alone["id"]
        assert record["budget"] == alone["budget"]
        assert record["devices"] == {"number": count, "nodes": 1, "batch_size": 6 // count}


class SignalIn:
    """Sends SIGTERM to one process: at a step, in the validation at that step, or at its first test case."""

    def __init__(self, stage: str, rank: int, step: int) -> None:
        self.stage, self.rank, self.step = stage, rank, step

    def __call__(self, rank: int) -> None:
        import segbench.training.stopper
        from segbench.training.module import SegmentationModule

        segbench.training.stopper.VALIDATION_GRACE = 0
        original = getattr(SegmentationModule, self.stage)

        def send(module: SegmentationModule) -> None:
            if rank == self.rank and module.global_step == self.step:
                os.kill(os.getpid(), signal.SIGTERM)

        def step(self, case, index):
            send(self)
            return original(self, case, index)

        def validation_step(self, case, index, dataloader_idx=0):
            send(self)
            return original(self, case, index, dataloader_idx)

        setattr(SegmentationModule, self.stage, validation_step if self.stage == "validation_step" else step)


STEPS = ("trainer.max_steps=6", "trainer.validate_every=3", "model.dropout=0.3", "folds=3")


@pytest.fixture(scope="module")
def uninterrupted(launch, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("uninterrupted")
    assert launch(path, 2, *STEPS) == [0, 0]
    return path


@pytest.mark.parametrize(
    ("stage", "rank", "step", "saved"),
    [
        ("training_step", 1, 1, 2), ("validation_step", 0, 6, 3),
        pytest.param("training_step", 0, 4, 5, marks=pytest.mark.slow),
        pytest.param("validation_step", 1, 3, None, marks=pytest.mark.slow),
        pytest.param("test_step", 1, 6, 6, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_signal_to_one_process_stops_all_and_nothing_is_lost(
    launch, uninterrupted, tmp_path, stage, rank, step, saved
):
    codes = launch(tmp_path, 2, *STEPS, change=SignalIn(stage, rank, step))
    assert None not in codes
    assert all(codes), codes
    directory = RunDirectory(tmp_path)
    assert directory.status == "interrupted"
    assert "SIGTERM" in directory.record["error"]
    assert directory.last_checkpoint.exists() == (saved is not None)
    if saved is not None:
        state = torch.load(directory.last_checkpoint, weights_only=False)
        assert state["global_step"] == saved
    assert launch(tmp_path, 2, *STEPS) == [0, 0]
    ours, theirs = _weights(tmp_path), _weights(uninterrupted)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert read_cases(directory.cases).equals(read_cases(uninterrupted / "cases.csv"))
    assert (tmp_path / "metrics.csv").read_text() == (uninterrupted / "metrics.csv").read_text()
    assert not list(tmp_path.rglob("*.tmp"))


class Broken:
    """What goes wrong in one process: its loss, or its disk."""

    def __init__(self, what: str, rank: int) -> None:
        self.what, self.rank = what, rank

    def __call__(self, rank: int) -> None:
        from segbench.training.checkpoint_file import CheckpointFile
        from segbench.training.module import SegmentationModule

        original = SegmentationModule.training_step

        def training_step(self, batch, index):
            return original(self, batch | {"image": batch["image"] * float("nan")}, index)

        def save_checkpoint(self, *args, **kwargs):
            raise OSError(28, "No space left on device")

        if rank == self.rank:
            if self.what == "loss":
                SegmentationModule.training_step = training_step
            else:
                CheckpointFile.save_checkpoint = save_checkpoint


@pytest.mark.parametrize(
    ("what", "rank", "reason"),
    [("loss", 1, "the loss is nan at step 0, with the cases"), ("disk", 0, "last.ckpt cannot be written: No space")],
)
def test_what_goes_wrong_in_one_process_ends_all_with_its_reason(launch, tmp_path, what, rank, reason):
    codes = launch(tmp_path, 2, *STEPS, change=Broken(what, rank))
    assert None not in codes
    assert all(codes), codes
    directory = RunDirectory(tmp_path)
    assert directory.status == "failed"
    assert reason in directory.record["error"]
