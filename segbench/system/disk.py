"""A look at whether a disk takes any more."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BYTES = 2**16


def lack_of_space(folder: Path) -> str | None:
    """Return why no small file can be written below a folder, as the system says it; None where one can.

    The file has no name, and is gone at once: free bytes alone do not tell of a quota. A folder that is somebody
    else's, or not there, is not looked at.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * _BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror if error.errno in _FULL else None
    return None
