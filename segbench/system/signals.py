"""The signals that ask a command to stop, received once and in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from segbench.errors import Stopped

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)

AGAIN_AFTER = 1.0
"""Seconds. A signal that comes sooner again is the same one: a shell, srun and SLURM may all pass it on."""


class StopSignals:
    """A context that notes a signal to stop, so that what is under way can be ended; a second signal stops at once.

    Attributes:
        received: the first signal, None before there is one.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._times: dict[int, float] = {}
        self._at_once = False

    @contextmanager
    def listening(self, at_once: bool = False) -> Iterator[Self]:
        """Listen for the signals while in this context. Only the main thread can; others do not listen.

        Args:
            at_once: whether the first signal stops at once too, as long as `note` has not been called.

        Raises:
            Stopped: for a signal that stops at once, also where a library has made another error of it.
        """
        self._at_once = at_once
        try:
            before = {number: signal.signal(number, self._receive) for number in STOP_SIGNALS}
        except ValueError:
            yield self
            return
        try:
            yield self
        except Exception as error:
            if self._at_once and self.received is not None:
                raise Stopped(self.received) from error
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def note(self) -> None:
        """From now on only note the first signal.

        Raises:
            Stopped: where one has come before, which a library has swallowed.
        """
        self._at_once = False
        if self.received is not None:
            raise Stopped(self.received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = now - self._times.setdefault(number, now) > AGAIN_AFTER
        first = self.received is None
        self.received = self.received or number
        if again or (first and self._at_once):
            raise Stopped(number)


@contextmanager
def held_back() -> Iterator[None]:
    """Keep signals to stop waiting while in this context, also from the commands that are started in it.

    Only the main thread can; in others nothing waits.
    """
    came: dict[int, None] = {}
    numbers: tuple[int, ...] = (*STOP_SIGNALS, signal.SIGHUP)
    try:
        before = {number: signal.signal(number, lambda received, _: came.setdefault(received)) for number in numbers}
    except ValueError:
        yield
        return
    # What is started takes over the mask; in this process another thread may receive a signal all the same.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in came:
            signal.raise_signal(number)


def obey_parent_alone(_worker: int = 0) -> None:
    """In a process that helps another one, obey the signal to stop of that one alone: it ends this process.

    A terminal signals every process of a command, and SLURM may signal every process of a job. Where the system does
    not say who sent a signal (macOS), all is left as it is.
    """
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # threads that are started from here on take this over
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while signal.sigwaitinfo(STOP_SIGNALS).si_pid != parent:
        pass
    os._exit(0)
