"""Calibration and ranking of the probabilities of one class in one case, against all other classes together.

What they take is counted part by part, so that the probabilities of a volume never exist all at once: sums, fifteen
equal bins of probability for the calibration error, and fine bins of its logit for the ranking of pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from segbench.metrics.direction import larger_is_better, smaller_is_better

Floats = NDArray[np.floating]

BINS = 15
"""Equal bins of probability, as in Guo et al. (ICML 2017)."""
_REACH = 40.0
"""Logits beyond count as this: a probability of 4e-18."""
_AT_ONCE = 2**18
"""Pixels that are counted at a time. Sets memory and speed only."""
_FINE = 16_000
"""Bins of the logit, each 0.005 wide: pixels of one bin count as equal in rank."""


class ProbabilityCounts:
    """The counts of one class of one case.

    Attributes:
        positives: pixels of the class.
        pixels: all pixels that are scored.
        n_pred: pixels in which the class was decided.
        squares: sum of the squared differences of probability and truth.
        surprise: sum of -log of the probability of the truth.
        bins: (3, BINS) pixels, sum of their probabilities, and pixels of the class among them.
        ranks: (2, fine bins) pixels of the other classes, and of the class, by rising logit.
    """

    def __init__(self) -> None:
        self.positives = self.pixels = self.n_pred = 0
        self.squares = self.surprise = 0.0
        self.bins = np.zeros((3, BINS))
        self.ranks = np.zeros((2, _FINE + 1), np.int64)

    def add(self, log_share: Floats, log_rest: Floats, truth: NDArray[np.bool_], weights: Floats | None = None) -> None:
        """Count some pixels.

        Args:
            log_share: (N,) logarithm of the probability of the class.
            log_rest: (N,) logarithm of that of all other classes together.
            truth: (N,) whether a pixel is of the class.
            weights: (N,) how many pixels each stands for; None: one.
        """
        for start in range(0, len(truth), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            self._add(log_share[part], log_rest[part], truth[part], None if weights is None else weights[part])

    def _add(self, log_share: Floats, log_rest: Floats, truth: NDArray[np.bool_], weights: Floats | None) -> None:
        """Count at most `_AT_ONCE` pixels."""
        share = np.exp(log_share)
        surprise, squares = np.where(truth, log_share, log_rest), np.square(share - truth)
        bins = np.minimum((share * BINS).astype(np.int32), BINS - 1) + BINS * truth
        logit = np.clip(log_share - log_rest, -_REACH, _REACH)
        fine = np.rint((logit + _REACH) * (_FINE / (2 * _REACH))).astype(np.int32) + (_FINE + 1) * truth
        if weights is not None:
            share, surprise, squares = weights * share, weights * surprise, weights * squares
        counts = np.bincount(bins, weights, 2 * BINS).reshape(2, BINS)
        sums = np.bincount(bins, share, 2 * BINS).reshape(2, BINS)
        self.pixels += int(counts.sum())
        self.positives += int(counts[1].sum())
        self.squares += float(squares.sum(dtype=np.float64))
        self.surprise -= float(surprise.sum(dtype=np.float64))
        self.bins += np.stack([counts.sum(0), sums.sum(0), counts[1]])
        self.ranks += np.bincount(fine, weights, 2 * (_FINE + 1)).astype(np.int64).reshape(2, -1)


@smaller_is_better
def calibration_error(counts: ProbabilityCounts) -> float:
    """Expected calibration error: mean over the pixels of how far a bin's share of the class is from its probability.

    Of one class, as in Kull et al. (NeurIPS 2019, "classwise-ECE"); NaN without pixels.
    """
    pixels, sums, positives = counts.bins
    return float(np.abs(sums - positives).sum() / pixels.sum()) if pixels.any() else math.nan


@smaller_is_better
def brier(counts: ProbabilityCounts) -> float:
    """Mean squared difference of probability and truth, 0 to 1 (Brier 1950); NaN without pixels."""
    return counts.squares / counts.pixels if counts.pixels else math.nan


@smaller_is_better
def log_loss(counts: ProbabilityCounts) -> float:
    """Negative log-likelihood of a pixel, in nats; NaN without pixels."""
    return counts.surprise / counts.pixels if counts.pixels else math.nan


@larger_is_better
def auroc(counts: ProbabilityCounts) -> float:
    """The probability that a pixel of the class has a larger one than a pixel of another; ties count half.

    Area under the receiver operating characteristic (Hanley and McNeil 1982); NaN where all pixels are of the class, or
    none.
    """
    others, own = counts.ranks.astype(np.float64)
    if not own.any() or not others.any():
        return math.nan
    below = np.cumsum(others) - others
    return float((own * (below + others / 2)).sum() / (own.sum() * others.sum()))


@larger_is_better
def pixel_average_precision(counts: ProbabilityCounts) -> float:
    """Average precision over the recall of pixels: sum of (R_n - R_n-1) P_n; NaN where no pixel is of the class."""
    others, own = counts.ranks[:, ::-1].astype(np.float64)
    if not own.any():
        return math.nan
    found, wrong = np.cumsum(own), np.cumsum(others)
    precision = np.divide(found, found + wrong, out=np.zeros_like(found), where=found + wrong > 0)
    return float((own / own.sum() * precision).sum())
