"""Independent units: what each case, or group of cases, contributes to a mean over cases.

A score shown is a mean over cases, and cases of one group (patient) are not independent. So a mean m is kept with what
each of n units contributes to its deviation,

    a_g = (S_g - m c_g) / C,

S_g the sum and c_g the number of the unit's scores, C the number of all: the linearised ratio of two sums (Cochran,
Sampling Techniques, 6.3). n / (n - 1) times the sum of a_g^2 estimates the variance of m whatever the sizes of the
groups; without groups it is the square of the standard error. Contributions of two methods are subtracted unit by unit,
which is the paired comparison, also where they lack scores of different cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.ties import Bools, Floats


@dataclass(frozen=True)
class Contributions:
    """Means, and what each independent unit contributes to them.

    Attributes:
        mean: (...) NaN where there is no score.
        shares: (..., G) contributions to the deviation of the mean, which sum to 0; NaN where a unit has no score.
    """

    mean: Floats
    shares: Floats

    @classmethod
    def of(cls, values: Floats, groups: NDArray[np.intp] | None) -> Contributions:
        """Contributions to means of (..., N) scores, NaN = no score, by cases or by groups numbered from 0."""
        known = ~np.isnan(values)
        sums, counts = np.where(known, values, 0.0), known.astype(np.float64)
        if groups is not None:
            membership = np.zeros((len(groups), int(groups.max()) + 1))
            membership[np.arange(len(groups)), groups] = 1.0
            sums, counts = sums @ membership, counts @ membership
        total = counts.sum(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = sums.sum(axis=-1, keepdims=True) / total
            return cls(mean[..., 0], np.where(counts > 0, (sums - mean * counts) / total, np.nan))

    def averaged(self) -> Contributions:
        """The mean over the first axis (classes), each entry counting once."""
        known = ~np.isnan(self.shares)
        shares = np.where(known, self.shares, 0.0).sum(axis=0) / len(self.shares)
        return Contributions(self.mean.mean(axis=0), np.where(known.any(axis=0), shares, np.nan))

    def __getitem__(self, chosen: Bools | NDArray[np.intp]) -> Contributions:
        return Contributions(self.mean[chosen], self.shares[chosen])

    @property
    def count(self) -> NDArray[np.intp]:
        """(...) units with a score."""
        return np.asarray(np.count_nonzero(~np.isnan(self.shares), axis=-1))

    @property
    def values(self) -> Floats:
        """(..., G) numbers, one for each unit, whose mean is the mean: the scores themselves without groups."""
        return np.asarray(self.mean[..., None] + self.count[..., None] * self.shares)


def side_by_side(sets: Sequence[Contributions]) -> Contributions:
    """The mean of the means of several data sets, each counting once; their units are independent."""
    mean = np.mean([one.mean for one in sets], axis=0)
    return Contributions(mean, np.concatenate([one.shares / len(sets) for one in sets], axis=-1))


def stacked(parts: Sequence[Contributions]) -> Contributions:
    """Several of the same shape along a new first axis."""
    return Contributions(np.stack([one.mean for one in parts]), np.stack([one.shares for one in parts]))
