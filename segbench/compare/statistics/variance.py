"""The sources of chance: cases, seeds, folds, and what of a score's spread each explains."""

from __future__ import annotations

import numpy as np

from segbench.compare.statistics.effects import Pairs
from segbench.compare.statistics.ties import Floats


def pooled_seeds(repeats: Floats) -> tuple[float, int, Floats]:
    """Variance between the seeds of one method, pooled over the methods.

    Args:
        repeats: (M, S) mean score of each repetition, NaN where there is none.

    Returns:
        The variance (NaN where no method was repeated), its degrees of freedom, and the seeds of each method (M,).
    """
    known = ~np.isnan(repeats)
    counts = known.sum(axis=1)
    means = np.where(known, repeats, 0.0).sum(axis=1) / np.maximum(counts, 1)
    squares = np.where(known, (repeats - means[:, None]) ** 2, 0.0).sum()
    freedom = int(np.maximum(counts - 1, 0).sum())
    return float(squares / freedom) if freedom else float("nan"), freedom, counts.astype(np.float64)


def seed_variance(repeats: Floats, pairs: Pairs) -> tuple[Floats, int] | None:
    """Variance (P,) of the difference of two means over seeds and its degrees of freedom; None without repetitions."""
    variance, freedom, counts = pooled_seeds(repeats)
    if not freedom:
        return None
    with np.errstate(divide="ignore"):
        return np.where(np.minimum(counts[pairs[0]], counts[pairs[1]]) > 0,
                        variance * (1 / counts[pairs[0]] + 1 / counts[pairs[1]]), np.nan), freedom  # fmt: skip


def seed_noise(repeats: Floats, confidence: float = 0.95) -> Floats:
    """The gap between two methods that their seeds alone explain.

    Fisher's least significant difference between means over seeds, with the variance between the
    seeds of one method pooled over the methods.

    Args:
        repeats: (M, S) mean score of each repetition, NaN where there is none.
        confidence: 0.95 for a gap that chance exceeds in 1 of 20 pairs.

    Returns:
        (M, M), NaN where no method was repeated.
    """
    from scipy.special import stdtrit

    variance, freedom, counts = pooled_seeds(repeats)
    if not freedom:
        return np.full((len(repeats), len(repeats)), np.nan)
    with np.errstate(divide="ignore"):
        share = np.where(counts > 0, 1 / counts, np.nan)
    limit = stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance)
    return np.asarray(limit * np.sqrt(share[:, None] + share[None]))
