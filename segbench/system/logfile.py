"""`run.log`: what the console has shown, with times."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress


class LogFile(logging.FileHandler):
    """A log that a full disk may leave with gaps, and that never stops or hides what it records.

    Python's own prints a traceback for every line that it cannot write, and raises where it cannot open the file.
    Named as a class in conf/hydra/train.yaml.
    """

    _told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; the file is opened with the first one."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say once that lines are missing; mistakes in the call itself are shown as ever."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            print(f"segbench: {self.baseFilename} lacks lines: {error.strerror or error}", file=sys.stderr)

    def close(self) -> None:
        """Close the file; lines that still wait for space are given up."""
        with suppress(OSError):
            super().close()
