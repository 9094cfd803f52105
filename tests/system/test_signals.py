"""Signals that reach every process of a command, as a terminal and SLURM send them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from segbench.errors import Stopped
from segbench.system.signals import STOP_SIGNALS, StopSignals, held_back

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


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_noted(number):
    signals = StopSignals()
    with signals.listening():
        os.kill(os.getpid(), number)
        signal.raise_signal(number)  # the same one, passed on by a shell
    assert signals.received == number


def stopped_at_once(work) -> None:
    with StopSignals().listening(at_once=True) as signals:
        work(signals)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_stops_at_once_where_there_is_nothing_to_save(number):
    def work(signals):
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)  # the same one does not disturb the ending

    with pytest.raises(Stopped) as stop:
        stopped_at_once(work)
    assert stop.value.number == number


def test_an_error_that_a_library_has_made_of_a_signal_is_the_signal():
    def work(signals):
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as error:
            raise ImportError("initialization failed") from error

    def fail(signals):
        raise ImportError("without a signal")

    with pytest.raises(Stopped):
        stopped_at_once(work)
    with pytest.raises(ImportError):
        stopped_at_once(fail)


def test_a_signal_that_a_library_has_swallowed_counts_as_soon_as_signals_are_noted():
    def work(signals):
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)
        signals.note()

    with pytest.raises(Stopped):
        stopped_at_once(work)


def test_from_then_on_a_signal_is_noted():
    def work(signals):
        signals.note()
        signal.raise_signal(signal.SIGTERM)
        assert signals.received == signal.SIGTERM

    stopped_at_once(work)
