"""The two ways in which a command ends early without being a bug."""

import signal


class UserError(Exception):
    """A mistake that the user can put right: the command prints its one line and exits with code 2.

    The message says what is wrong, where (file or key), and what would be right.
    """


class Stopped(BaseException):
    """A signal asked the run to stop; it has written its checkpoint, and the same command continues.

    Attributes:
        number: of the signal; the command exits with 128 + number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command continues the run")
        self.number = number
