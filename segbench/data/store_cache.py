"""Decoded data sets that are opened once for all runs of a sweep that one process executes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segbench.data.store import CaseStore

_kept: dict[str, CaseStore] | None = None


def keep() -> None:
    """Keep the data sets that this process opens from now on, for the runs that follow.

    So all of them see the images as they were when the first one looked: a change is seen by the next command.
    """
    global _kept
    _kept = {}


@contextmanager
def kept() -> Iterator[None]:
    """Keep data sets inside, and forget them in the end."""
    global _kept
    keep()
    try:
        yield
    finally:
        _kept = None


def opened(settings: str, open_now: Callable[[], CaseStore]) -> CaseStore:
    """The data set with these settings, opened now unless it is kept.

    Args:
        settings: all that decides which images it has, and where it is decoded.
        open_now: opens it.
    """
    if _kept is None:
        return open_now()
    for store in _kept.values():
        store.close()  # what the run before has looked at
    if settings not in _kept or not _kept[settings].complete:
        _kept[settings] = open_now()
    return _kept[settings]
