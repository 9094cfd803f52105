"""An orderly stop: a signal ends the run at the next step or case, in all its processes alike."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from segbench.errors import Stopped, UserError
from segbench.system.signals import StopSignals

VALIDATION_GRACE = 20.0
"""Seconds that a validation may go on after a signal: given up, the steps since the last checkpoint are repeated."""


class Stopper(StopSignals, Callback):
    """The only owner of the stop signals: the run ends at the next step or case, with a checkpoint.

    A second signal of the same kind stops at once, without one.

    Of several processes a signal may reach only some, or each at another step. They vote after every step, so that
    all stop at the same step, and none waits for another that has gone. In a validation or test, whose cases take
    different times in each process, there is one vote, before the scores are put together; a process that gives
    up votes at once and calls the others to do the same after their present case.
    """

    def __init__(self) -> None:
        super().__init__()
        self._agreed: int | None = None

    def check(self) -> None:
        """Stop if a signal has come to this process. Not for a run of several, unless they do not meet before.

        Raises:
            Stopped: then.
        """
        if self.received is not None:
            raise Stopped(self.received)

    def stop_as_agreed(self) -> None:
        """Stop if the last vote was to stop.

        Raises:
            Stopped: then, in every process.
        """
        if self._agreed is not None:
            raise Stopped(self._agreed)

    def should_stop(self, trainer: L.Trainer) -> bool:
        """Return whether a signal has come to any process; all of them have to ask at the same point."""
        return self._vote(trainer, self.received)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Check that all processes stand at the same step.

        Raises:
            UserError: where they do not, as when the file system of one node does not show the checkpoint yet.
        """
        first, last = -highest(trainer, -trainer.global_step), highest(trainer, trainer.global_step)
        if first != last:
            raise UserError(
                f"the processes continue from different steps, {first} and {last}: not all nodes see the last"
                " checkpoint; start the same command again"
            )

    def on_validation_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Give up a validation that is not done some time after a signal: the run that continues repeats it."""
        self._after_case(trainer, VALIDATION_GRACE)

    def on_validation_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Give the validation up with the others."""
        self._vote_after_cases(trainer, None)

    def on_test_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Give up the test: it is repeated by the run that continues."""
        self._after_case(trainer, 0)

    def on_test_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Give the test up with the others."""
        self._vote_after_cases(trainer, None)

    def _after_case(self, trainer: L.Trainer, grace: float) -> None:
        late = self.received is not None and time.monotonic() - min(self._times.values()) >= grace
        if trainer.world_size == 1:
            if late:
                self.check()
            return
        world = torch.distributed.group.WORLD
        assert world is not None
        store = world.get_group_store()
        if late:
            store.set(_GIVEN_UP, str(self.received))
        if late or store.check([_GIVEN_UP]):
            self._vote_after_cases(trainer, int(store.get(_GIVEN_UP)))

    def _vote_after_cases(self, trainer: L.Trainer, number: int | None) -> None:
        self._vote(trainer, number)
        self.stop_as_agreed()

    def _vote(self, trainer: L.Trainer, number: int | None) -> bool:
        self._agreed = highest(trainer, number or 0) or None
        return self._agreed is not None


_GIVEN_UP = "segbench/given_up"
"""Set in what the processes share as soon as one of them has given up a validation or test."""


def highest(trainer: L.Trainer, number: int) -> int:
    """The highest of the numbers that the processes of a run give, each of which has to ask."""
    if trainer.world_size == 1:
        return number
    own = torch.tensor(number, device=trainer.strategy.root_device)
    torch.distributed.all_reduce(own, torch.distributed.ReduceOp.MAX)
    return int(own)
