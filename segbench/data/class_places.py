"""The pixels of each class: how many there are, and some of them, without a copy of a volume in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_ROWS = 16
"""Rows that are looked at at a time. Sets memory only."""


def count_values(label: np.ndarray) -> np.ndarray:
    """The pixels of each value of a label map of uint8: (256,)."""
    return np.asarray(sum((_counts(rows) for _, rows in _parts(label)), start=np.zeros(256, np.int64)))


def some_places(label: np.ndarray, counts: np.ndarray, most: int) -> list[np.ndarray]:
    """A random choice of each class's pixels, always the same, as flat indices in rising order.

    Args:
        label: (*S) uint8.
        counts: the pixels of each of the classes that are looked for.
        most: pixels of each class that are chosen at most.

    Returns:
        For each class that occurs its indices, in the order of classes.
    """
    classes = [value for value, count in enumerate(counts) if count]
    wanted = {value: _ranks(int(counts[value]), most) for value in classes}
    found: dict[int, list[np.ndarray]] = {value: [] for value in classes}
    passed = dict.fromkeys(classes, 0)
    for start, rows in _parts(label):
        flat = rows.reshape(-1)
        for value in np.flatnonzero(_counts(rows)[: len(counts)]).tolist():
            places = np.flatnonzero(flat == value)
            ranks = wanted[value]
            if ranks is None:
                chosen = places
            else:
                low, high = np.searchsorted(ranks, (passed[value], passed[value] + len(places)))
                chosen = places[ranks[low:high] - passed[value]]
            found[value].append(chosen + start)
            passed[value] += len(places)
    return [np.concatenate(found[value]) for value in classes]


def _ranks(count: int, most: int) -> np.ndarray | None:
    """The ranks of the chosen ones among so many pixels; None: all are chosen."""
    if count <= most:
        return None
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _counts(rows: np.ndarray) -> np.ndarray:
    return np.bincount(rows.reshape(-1), minlength=256)


def _parts(label: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Some rows of a label map, and the flat index of their first pixel."""
    step = _ROWS if label.ndim > 2 else len(label) or 1
    size = int(np.prod(label.shape[1:], dtype=int))
    for start in range(0, len(label), step):
        yield start * size, np.asarray(label[start : start + step])
