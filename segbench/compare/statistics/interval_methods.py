"""Ways to compute the confidence interval of a mean, each of K means at once."""

from __future__ import annotations

import numpy as np

from segbench.compare.statistics.scales import Scale
from segbench.compare.statistics.ties import Floats

BLOCK = 2**22
"""Numbers in the largest array of a block of resamples."""


def student(units: Floats, scale: Scale, confidence: float) -> tuple[Floats, Floats]:
    """Student's t intervals of the means of (K, G) units on a scale (delta method), low and high (K,)."""
    from scipy.special import stdtrit

    reach = np.full(len(units), stdtrit(units.shape[1] - 1, (1 + confidence) / 2))
    return _ends(units, scale, reach, reach)


def bootstrap_t(
    units: Floats, scale: Scale, confidence: float, draws: int, generator: np.random.Generator
) -> tuple[Floats, Floats]:
    """Bootstrap-t intervals of the means of (K, G) units on a scale, low and high (K,).

    The distribution of (m - mu) / se is taken from resamples, each with its own standard error, which allows for
    skewness (Efron and Tibshirani 1993, An Introduction to the Bootstrap, 12.5).
    """
    mean, count = units.mean(axis=1), units.shape[1]
    size = np.maximum(units.std(axis=1), np.finfo(float).tiny)
    centred = ((units - mean[:, None]) / size[:, None]).T.astype(np.float32)
    squares = centred**2
    middle = scale.to(scale.inside(mean))
    parts = []
    block = int(np.clip(BLOCK // max(count, len(mean)), 16, draws))
    for begin in range(0, draws, block):
        times = _times(count, min(block, draws - begin), generator)
        moved = times @ centred / count
        spread = np.sqrt(np.maximum(times @ squares / count - moved**2, 0) / (count - 1))
        shifted = scale.inside(mean + size * moved)
        step = (scale.to(shifted) - middle) / scale.slope(shifted)
        with np.errstate(divide="ignore"):
            parts.append(np.where(spread > 1e-4, step / (size * np.maximum(spread, 1e-4)), np.copysign(np.inf, step)))
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(np.concatenate(parts), [tail, 1 - tail], axis=0, method="inverted_cdf")
    low, high = _ends(units, scale, upper, -lower)
    usual = student(units, scale, confidence)  # where too many resamples are of one value, so that there is no spread
    known = np.isfinite(upper) & np.isfinite(lower)
    return np.where(known, low, usual[0]), np.where(known, high, usual[1])


def percentile(units: Floats, confidence: float, draws: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Percentile bootstrap intervals of the means of (K, G) units; for comparison, as they cover too little."""
    means = _times(units.shape[1], draws, generator) @ units.T / units.shape[1]
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def bca(units: Floats, confidence: float, draws: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Bias-corrected and accelerated bootstrap intervals of the means of (K, G) units (Efron 1987); for comparison."""
    from scipy.special import ndtr, ndtri

    mean, count = units.mean(axis=1), units.shape[1]
    centred = units - mean[:, None]
    means = np.sort(_times(count, draws, generator) @ units.T / count, axis=0)
    below = ((means < mean).mean(axis=0) + (means <= mean).mean(axis=0)) / 2
    bias = ndtri(np.clip(below, 0.5 / draws, 1 - 0.5 / draws))
    cube = np.maximum((centred**2).sum(axis=1), np.finfo(float).tiny) ** 1.5
    acceleration = (centred**3).sum(axis=1) / (6 * cube)
    ends = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + ndtri(tail)
        place = ndtr(bias + z / (1 - acceleration * z))
        ends.append(means[np.clip((place * draws).astype(int), 0, draws - 1), np.arange(len(mean))])
    return ends[0], ends[1]


def clopper_pearson(passed: Floats, count: int, confidence: float) -> tuple[Floats, Floats]:
    """Exact intervals of proportions (Clopper and Pearson 1934) of (K,) successes among `count` trials each."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = np.where(passed > 0, betaincinv(np.maximum(passed, 1), count - passed + 1, tail), 0.0)
    high = np.where(passed < count, betaincinv(passed + 1, np.maximum(count - passed, 1), 1 - tail), 1.0)
    return low, high


def _times(count: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """(draws, count) float32, how often each unit is drawn."""
    drawn = generator.integers(0, count, size=(draws, count)) + count * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float32)


def _ends(units: Floats, scale: Scale, below: Floats, above: Floats) -> tuple[Floats, Floats]:
    """The ends that lie so many standard errors below and above the means on the scale."""
    centre = scale.inside(units.mean(axis=1))
    error = units.std(axis=1, ddof=1) / np.sqrt(units.shape[1]) * scale.slope(centre)
    with np.errstate(over="ignore"):
        low, high = scale.back(scale.to(centre) - below * error), scale.back(scale.to(centre) + above * error)
    return np.clip(low, scale.low, scale.high), np.clip(high, scale.low, scale.high)
