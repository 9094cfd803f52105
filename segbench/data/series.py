"""Series of sections: neighbours look alike, so that a section beside a training section tests nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from segbench.data.case import Dataset
from segbench.data.store import CaseStore
from segbench.errors import UserError

_NUMBER = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)", re.DOTALL)

_FEWEST = 8
"""Cases from which on names are taken for a series."""

_PAIRS = 24
"""Pairs of neighbours that are looked at."""

_SIDE = 32
"""Cells along the longest axis in which images are compared: finer is noise."""

_ALIKE = 0.25
"""The correlation that neighbours have, median over the pairs, beyond that of cases further apart."""


def blocks(keys: Sequence[str], size: int) -> dict[str, str]:
    """The block of each case: `size` consecutive ones of a series, which differ in the last number of their names.

    Args:
        keys: names, in any order.
        size: cases in a block; the last one of a series may have fewer.

    Returns:
        By name the name of its block, such as "section_00_to_09".

    Raises:
        UserError: where a name has no number, or the size is none.
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UserError(f"data.dataset.block_size={size}: must be a whole number of at least 1, or null")
    result: dict[str, str] = {}
    for members in _series(keys, strict=True).values():
        for start in range(0, len(members), size):
            block = members[start : start + size]
            number = _parts(block[-1])[1]
            result |= dict.fromkeys(block, f"{block[0]}_to_{number}" if len(block) > 1 else block[0])
    return result


def hint(dataset: Dataset, store: CaseStore) -> str | None:
    """The advice to keep neighbours together, None where nothing speaks for it.

    It is given where cases are dealt one by one, their names are numbered, and each looks more like the next one than
    like those further away.

    Args:
        dataset: one that knows blocks has an attribute `block_size`, None where none are asked for.
        store: its cases.
    """
    if getattr(dataset, "block_size", 0) is not None or any(record.group != record.id for record in store.records):
        return None
    longest = max(_series(store.ids, strict=False).values(), key=len, default=[])
    if len(longest) < _FEWEST or not _neighbours_alike(longest, store):
        return None
    return (
        f"{longest[0]} to {longest[-1]} look like sections of one series, whose neighbours must not be split over"
        " training and test: data.dataset.block_size=N keeps N of them together"
    )


def _neighbours_alike(series: Sequence[str], store: CaseStore) -> bool:
    far = len(series) // 2
    starts = np.unique(np.linspace(0, len(series) - 2, _PAIRS).astype(int))
    near = [_correlation(store, series[start], series[start + 1]) for start in starts]
    distant = [_correlation(store, series[start], series[(start + far) % len(series)]) for start in starts]
    return bool(np.median(near) > max(0.0, float(np.median(distant))) + _ALIKE)


def _correlation(store: CaseStore, first: str, second: str) -> float:
    """The correlation of two images of one size in coarse cells; 0 where they cannot be compared."""
    images = [_coarse(np.asarray(store[case].image[0])) for case in (first, second)]
    if images[0].shape != images[1].shape or not all(image.std() for image in images):
        return 0.0
    return float(np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1])


def _coarse(image: np.ndarray) -> np.ndarray:
    """Means over cells of an image (*S)."""
    step = max(1, max(image.shape) // _SIDE)
    for axis in range(image.ndim):
        length = image.shape[axis] // step * step or image.shape[axis]
        kept = np.moveaxis(image, axis, 0)[:length]
        image = np.moveaxis(kept.reshape(-1, min(step, length), *kept.shape[1:]).mean(1), 0, axis)
    return image


def _series(keys: Sequence[str], strict: bool) -> Mapping[tuple[str, str], list[str]]:
    """Names that differ in their last number, in its order."""
    found: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for key in keys:
        if not any(character.isdigit() for character in key):
            if strict:
                raise UserError(f"data.dataset.block_size: {key!r} has no number: blocks are of numbered cases")
            continue
        before, number, after = _parts(key)
        found[before, after].append((int(number), key))
    return {series: [key for _, key in sorted(members)] for series, members in found.items()}


def _parts(key: str) -> tuple[str, str, str]:
    """A name before, in and after its last number."""
    match = _NUMBER.fullmatch(key)
    assert match is not None
    return match["before"], match["number"], match["after"]
