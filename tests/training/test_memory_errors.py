"""A full memory is one line that says which key to change, and is tried again by a sweep."""

import json
import os
import signal

import pytest
import torch

from segbench.data.patches import PatchSampler
from segbench.errors import MachineError, UserError
from segbench.runs.directory import RunDirectory
from segbench.training.memory_errors import said_in_one_line
from tests.made_runs import configure, execute

CONFIG = configure("data.workers=3")


def die_at(sample: int, number: int):
    """In a worker, a signal at a sample."""
    original, training = PatchSampler.__getitem__, os.getpid()

    def take(self, index):
        if index == sample and os.getpid() != training:
            os.kill(os.getpid(), number)
        return original(self, index)

    return take


@pytest.mark.parametrize(("number", "said"), [(signal.SIGKILL, "was killed"), (signal.SIGBUS, "the shared memory")])
def test_a_killed_worker(tmp_path, monkeypatch, number, said):
    options = ("data.workers=2", "trainer.max_steps=40", "trainer.checkpoint_every=4")
    with monkeypatch.context() as patch:
        patch.setattr(PatchSampler, "__getitem__", die_at(60, number))
        with pytest.raises(MachineError, match=said) as caught:
            execute(tmp_path / "run", *options)
    assert "\n" not in str(caught.value)
    assert "data.workers=2" in str(caught.value)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["needs_user"]) == ("failed", False)
    assert "Error" not in record["error"]
    assert execute(tmp_path / "run", *options).finished  # as a sweep does


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("DataLoader worker (pid(s) 17, 18) exited unexpectedly"), r"\(data.workers=3\) was killed: by"),
        (RuntimeError("DataLoader worker (pid 17) is killed by signal: Killed. "), "was killed by KILLED: by hand"),
        (RuntimeError("DataLoader worker (pid 17) is killed by signal: Bus error. It is"), "docker run --shm-size"),
        (RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"), "docker run --shm-size"),
        (RuntimeError("unable to open shared memory object </torch_1> in read-write mode"), "0 needs none"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), r"memory of the GPU is full: .*data.batch_size \(8\)"),
        (MemoryError(), "the memory is full: give the run more"),
    ],
)
def test_what_is_said(error, said):
    with pytest.raises(MachineError, match=said), said_in_one_line(CONFIG):
        raise error


def test_what_the_user_can_mend_is_said_without_the_traceback_of_the_worker():
    text = "Caught UserError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File x\n"
    with pytest.raises(UserError, match=r"^a\.png is damaged$"), said_in_one_line(CONFIG):
        raise UserError(f"{text}segbench.errors.UserError: a.png is damaged\n")
    for error in (
        UserError("plain"),
        RuntimeError("a bug"),
        ValueError("CUDA out of memory"),
    ):
        with pytest.raises(type(error)) as caught, said_in_one_line(CONFIG):
            raise error
        assert caught.value is error


def test_a_sweep_tries_again_what_the_machine_did(tmp_path):
    directory = RunDirectory(tmp_path)
    for error, needs_user in ((MachineError("full"), False), (UserError("wrong"), True), (ValueError("bug"), False)):
        directory.record = {}
        (tmp_path / "run.json").unlink(missing_ok=True)
        directory.record_failure(error)
        assert directory.record["needs_user"] == needs_user
