"""The ways in which a command ends early without being a bug, and the message of any error in one line."""

import signal


class UserError(Exception):
    """A mistake that the user can put right: the command prints its one line and exits with code 2.

    The message says what is wrong, where (file or key), and what would be right.
    """


class MachineError(UserError):
    """A failure of the machine that need not come again, such as a full memory: a sweep tries the run once more."""


def as_line(error: BaseException) -> str:
    """The message of an error in one line; of an error without a message its kind."""
    return " ".join(str(error).split()) or type(error).__name__


class Stopped(BaseException):
    """A signal asked the run to stop; it has written its checkpoint, and the same command continues.

    Attributes:
        number: of the signal; the command exits with 128 + number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command continues the run")
        self.number = number
