"""The space that a volume lies in: which files lie in the same one, and where their axes run to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segbench.data.formats.reader import Decoded
from segbench.errors import UserError

_SPACING = 1e-3
_TURN = 0.02
"""About one degree. Headers are rounded, and quaternions lose digits."""
_SHIFT = 0.5
"""Voxels by which corners may be apart."""


_REMEDY = "resample one of them to the other, or data.dataset.check_space=false"


def check_same_space(first: Decoded, first_file: Path, other: Decoded, other_file: Path, remedy: str = _REMEDY) -> None:
    """Check that two files lie on each other, as far as they say where they lie.

    Args:
        first: the content of the first file.
        first_file: its path.
        other: the content of the other file.
        other_file: its path.
        remedy: the end of the message.

    Raises:
        UserError: naming what differs: size, spacing, direction or origin.
    """
    sizes = first.array.shape[1:], other.array.shape[1:]
    if sizes[0] != sizes[1]:
        texts = [" x ".join(map(str, size)) for size in sizes]
        raise _differ("size", first_file, other_file, texts, "both must have the same size")
    if first.affine is None or other.affine is None or first.spacing is None or other.spacing is None:
        return  # images, which mostly say how to print them
    if not np.allclose(first.spacing, other.spacing, rtol=_SPACING):
        texts = [" x ".join(f"{size:g}" for size in file.spacing or ()) + " mm" for file in (first, other)]
        raise _differ("spacing", first_file, other_file, texts, remedy)
    here, there = first.affine, other.affine
    turns = [affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0) for affine in (here, there)]
    if np.abs(turns[0] - turns[1]).max() > _TURN:
        raise _differ("direction", first_file, other_file, [directions(first), directions(other)], remedy)
    apart = np.linalg.norm(here[:3, 3] - there[:3, 3])
    if apart > _SHIFT * min(first.spacing):
        texts = [f"{np.round(affine[:3, 3], 3).tolist()} mm" for affine in (here, there)]
        raise _differ("origin", first_file, other_file, texts, remedy)


def directions(decoded: Decoded) -> str:
    """The side of the patient that each axis of a volume runs to, such as "SAR"; empty where it is not known.

    Each axis is closest to one of right, anterior, superior (R, A, S) and their opposites (L, P, I), each of which
    is taken once, the clearest first.
    """
    if decoded.affine is None or decoded.array.ndim != 4:
        return ""
    matrix = decoded.affine[:3, :3] / np.linalg.norm(decoded.affine[:3, :3], axis=0)
    sides, free = [""] * 3, np.abs(matrix)
    for _ in range(3):
        world, axis = np.unravel_index(np.argmax(free), free.shape)
        sides[int(axis)] = ("RL", "AP", "SI")[int(world)][int(matrix[world, axis] < 0)]
        free[world], free[:, axis] = -1, -1
    return "".join(sides)


def _differ(what: str, first_file: Path, other_file: Path, texts: Sequence[str], remedy: str) -> UserError:
    return UserError(
        f"{first_file} and {other_file} do not lie on each other: their {what} is {' and '.join(texts)}; {remedy}"
    )
