"""Tests that may be looked at after every observation, as a race of methods does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EFFECT = 3.0
"""Standard deviation, before anything is known, of the mean difference in units of the standard deviation."""


def e_values(differences: Sequence[float] | np.ndarray, effect: float = EFFECT) -> np.ndarray:
    """The evidence that a mean difference is not 0, after each observation.

    The observations are independent and normal with unknown mean and unknown variance. The e-value is the ratio of
    two likelihoods of all that does not depend on the unit: of a mean that is itself normal around 0 with the
    deviation `effect` times that of the observations, and of a mean of 0 (the t-mixture of Lai, Annals of Statistics
    4:265, 1976; Wang and Ramdas, arXiv 2310.03722):

        e_n = sqrt(c / (n + c)) * (V / (V - S^2 / (n + c)))^(n / 2),   S = sum x, V = sum x^2, c = 1 / effect^2.

    Where the mean is 0, the probability that any of e_1, e_2, .. ever reaches 1 / alpha is at most alpha (Ville), so
    that one may look as often as one likes. Where the true mean is below 0, so is the probability that it is reached
    while the mean of the observations is above 0.

    Args:
        differences: (N,) in the order in which they were observed.
        effect: above 0; it decides how soon large and small effects are seen, not whether the claim is right.

    Returns:
        (N,) of which the first is always 1.
    """
    x = np.asarray(differences, dtype=np.float64)
    n, sums, squares = np.arange(1, len(x) + 1), np.cumsum(x), np.cumsum(x * x)
    c = 1 / effect**2
    with np.errstate(invalid="ignore"):
        shares = np.where(squares > 0, sums**2 / (squares * (n + c)), 0.0)  # below 1, since S^2 <= n V
    return np.asarray(np.exp(0.5 * np.log(c / (n + c)) - 0.5 * n * np.log1p(-shares)))


def certainly_better(differences: Sequence[float] | np.ndarray, alpha: float, effect: float = EFFECT) -> bool:
    """Return whether the mean difference has at any time been shown to be above 0.

    Args:
        differences: (N,) in the order in which they were observed.
        alpha: the largest probability of saying so wrongly.
        effect: see `e_values`.
    """
    if not len(differences):
        return False
    means = np.cumsum(differences) > 0
    return bool((means & (e_values(differences, effect) >= 1 / alpha)).any())
