"""Tests over the folds of a cross-validation, whose training cases overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.effects import Pairs
from segbench.compare.statistics.ties import Floats
from segbench.compare.statistics.units import Contributions


def corrected_t(differences: Floats, test_to_train: float) -> Floats:
    """Two-sided p of the corrected resampled t test (Nadeau and Bengio 2003, Machine Learning 52:239, section 5).

    The variance of the mean of k differences is taken as (1 / k + n_test / n_train) s^2, since networks that were
    trained on overlapping cases are not independent.

    Args:
        differences: (P, k) of the means of each fold.
        test_to_train: number of test cases of a fold by that of training cases, 1 / (k - 1) in a cross-validation.
    """
    from scipy.special import stdtr

    folds = differences.shape[1]
    error = differences.std(axis=1, ddof=1) * np.sqrt(1 / folds + test_to_train)
    mean = differences.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(mean == 0, 0.0, np.abs(mean) / error)
    return np.asarray(2 * stdtr(folds - 1, -np.minimum(ratio, 1e12)))


def corrected_p(parts: Contributions, folds: NDArray[np.intp] | None, pairs: Pairs) -> Floats:
    """(P,) p of the corrected test of every pair; NaN where there are fewer than two folds.

    Args:
        parts: means (M,) and contributions (M, G).
        folds: (G,) number of the fold that each unit is tested in, from 0; None: not cross-validated.
        pairs: numbers of the first and of the second methods.
    """
    if folds is None:
        return np.full(len(pairs[0]), np.nan)
    count = int(folds.max()) + 1
    member = np.zeros((len(folds), count))
    member[np.arange(len(folds)), folds] = 1.0
    known = ~np.isnan(parts.shares)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = parts.mean[:, None] + parts.count[:, None] * (np.where(known, parts.shares, 0.0) @ member) / (
            known @ member
        )
    return corrected_t(means[pairs[0]] - means[pairs[1]], 1 / (count - 1))
