"""The signals that ask a command to stop, received once and in order."""

from __future__ import annotations

import signal
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
    """Notes a signal to stop, so that what is under way can be brought to an end; a second one stops at once.

    Attributes:
        received: the first signal, None before there is one.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._times: dict[int, float] = {}

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Listens for the signals while in this context. Only the main thread can; others do not listen."""
        try:
            before = {number: signal.signal(number, self._receive) for number in STOP_SIGNALS}
        except ValueError:
            yield self
            return
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._times.setdefault(number, now) > AGAIN_AFTER:
            raise Stopped(number)
        self.received = self.received or number
