"""Signals that reach every process of a command, as a terminal and SLURM send them."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from segbench.system.signals import STOP_SIGNALS, held_back

LOADER = """
import os, signal, sys, time
from torch.utils.data import DataLoader
from segbench.system.signals import obey_parent_alone

if __name__ == "__main__":
    batches = iter(DataLoader(range(10**9), num_workers=1, worker_init_fn=obey_parent_alone))
    next(batches)
    print(batches._workers[0].pid, flush=True)
    for line in sys.stdin:
        print(int(next(batches)), flush=True)
"""


@pytest.fixture
def loader(tmp_path):
    """A process that has a worker; it tells the worker's number, and for each line that it reads, the next batch."""
    (tmp_path / "loader.py").write_text(LOADER)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "loader.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()


def ask(process: subprocess.Popen) -> str:
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def gone(pid: int, within: float) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_worker_takes_no_signal_from_others(loader, number):
    process, worker = loader
    os.kill(worker, number)
    time.sleep(0.3)
    os.kill(worker, number)
    assert [ask(process) for _ in range(5)] == ["1", "2", "3", "4", "5"]


def test_a_worker_ends_with_its_parent_whose_loader_is_still_open(loader):
    process, worker = loader
    process.stdin.close()
    assert process.wait(30) == 0
    assert gone(worker, 10)


@pytest.mark.parametrize("threads", [0, 1])
def test_a_signal_held_back_comes_in_the_end(threads):
    """Another thread, which does not hold it back, may be the one to receive it."""
    came = []
    end = threading.Event()
    others = [threading.Thread(target=end.wait) for _ in range(threads)]
    for other in others:
        other.start()
    before = signal.signal(signal.SIGUSR2, lambda *_: came.append(True))
    try:
        with held_back():
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(0.05)
            assert not came
        assert came == [True]
    finally:
        signal.signal(signal.SIGUSR2, before)
        end.set()


def test_a_command_started_while_signals_are_held_back_does_not_get_them():
    with held_back():
        command = subprocess.Popen(["sleep", "0.5"])
        command.send_signal(signal.SIGINT)
    assert command.wait() == 0
