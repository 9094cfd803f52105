"""Weights of classes from how frequent they are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from segbench.errors import UserError


def inverse_frequency(frequencies: Sequence[float]) -> list[float]:
    """w_c = N / (C n_c): classes of equal size all have the weight 1.

    Args:
        frequencies: n_c / N for each class: its share of the labelled pixels of the training cases.
            Counts of pixels do as well.

    Raises:
        UserError: where a class has no pixels at all.
    """
    _check(frequencies)
    total = sum(frequencies)
    return [total / (len(frequencies) * share) for share in frequencies]


def median_frequency(frequencies: Sequence[float]) -> list[float]:
    """w_c = median(f) / f_c (Badrinarayanan, Kendall and Cipolla 2017, SegNet): the median class has the weight 1.

    Args:
        frequencies: f_c for each class: its pixels over all labelled pixels of the training cases that
            have it. So a class of few cases is not taken for one of small objects.

    Raises:
        UserError: where a class has no pixels at all.
    """
    _check(frequencies)
    middle = median(frequencies)
    return [middle / share for share in frequencies]


def shares_where_present(pixels: Sequence[Sequence[int]]) -> list[float]:
    """The pixels of each class over all labelled pixels of the cases that have it; 0 where none has.

    Args:
        pixels: for each case the pixels of each class.
    """
    shares = []
    for value in range(len(pixels[0])):
        having = [case for case in pixels if case[value] > 0]
        shares.append(sum(case[value] for case in having) / sum(map(sum, having)) if having else 0.0)
    return shares


def _check(frequencies: Sequence[float]) -> None:
    empty = [str(value) for value, share in enumerate(frequencies) if share <= 0]
    if empty:
        raise UserError(
            f"class_frequencies: no training case has the class {', '.join(empty)}, hence no inverse frequency;"
            " choose another loss, or null where that is allowed"
        )
