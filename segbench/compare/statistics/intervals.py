"""Confidence intervals of scores: chosen by statistic, number of independent units and range; said where none covers.

A percentile bootstrap of a mean covers too little below some fifty cases: 56 to 87 % of samples of 6 where 95 % is
written. Student's t is right for scores without a tail, but scores of segmentations have one, towards the worse end. So
means of scores within 0 and 1 are treated on the scale of their logit and those of distances on that of their
logarithm: by Student's t of few units, else by the bootstrap-t, which learns the skewness.
benchmarks/interval_coverage.py counts what each covers; docs/statistics.md has its table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.interval_methods import bootstrap_t, clopper_pearson, student
from segbench.compare.statistics.scales import LOG, LOGIT, Scale
from segbench.compare.statistics.ties import Floats
from segbench.compare.statistics.units import Contributions

Texts = NDArray[np.object_]

BOOTSTRAP_FROM = 10
"""Fewer units have too few different resamples for the bootstrap-t."""
COVERED = {LOGIT.name: {3: 91, 6: 81, 12: 77, 20: 82}, LOG.name: {3: 91, 6: 89}}
"""By scale, what a nominal 95 % interval of so many units covers of scores with a bad tail, in per cent; see above."""


@dataclass(frozen=True)
class Intervals:
    """Confidence intervals of an array of statistics; all attributes have its shape.

    Attributes:
        low: lower ends, NaN where there is no interval.
        high: upper ends.
        method: how each was computed, such as "logit bootstrap-t"; empty where there is no interval.
        units: independent units behind each: cases, or groups where these are what is independent.
        warning: where the interval cannot be taken at its word, why; else empty.
    """

    low: Floats
    high: Floats
    method: Texts
    units: NDArray[np.intp]
    warning: Texts

    @classmethod
    def unknown(cls, units: NDArray[np.intp]) -> Intervals:
        """No intervals, of statistics of so many units."""
        nothing, silent = np.full(units.shape, np.nan), np.full(units.shape, "", dtype=object)
        return cls(nothing, nothing.copy(), silent, units, silent.copy())

    def widened(self, centre: Floats, reach: Floats, reason: str, ends: tuple[Floats, Floats]) -> Intervals:
        """The intervals of sums with an independent term that is 0 within +- `reach` (Zou and Donner 2008).

        No interval leaves the range of its scores, from `ends[0]` to `ends[1]`.
        """
        add = np.where(np.isnan(reach), 0.0, reach)
        low = centre - np.sqrt((centre - self.low) ** 2 + add**2)
        high = centre + np.sqrt((self.high - centre) ** 2 + add**2)
        named = np.where((self.method != "") & (add > 0), self.method + reason, self.method)
        return replace(self, low=np.maximum(low, ends[0]), high=np.minimum(high, ends[1]), method=named)

    def doubted(self, warning: str) -> Intervals:
        """The same with one warning before their own."""
        texts = np.where(self.warning == "", warning, warning + "; " + self.warning)
        return replace(self, warning=texts.astype(object)) if warning else self


def mean_intervals(
    parts: Contributions,
    scales: Sequence[Scale],
    passes: Sequence[bool],
    *,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Intervals:
    """Intervals of the means of R rows and M methods.

    Args:
        parts: means (R, M) and the contributions of their units.
        scales: (R) of each row.
        passes: (R) whether all scores of a row are 0 or 1, and units are cases: means are proportions.
        confidence: 0.95 for 95 % intervals.
        draws: resamples of the bootstrap-t.
        seed: of the resampling.
    """
    result = Intervals.unknown(parts.count)
    flat = {name: getattr(result, name).ravel() for name in ("low", "high", "method", "warning")}
    values = parts.values.reshape(-1, parts.shares.shape[-1])
    generator = np.random.default_rng([seed, 1])
    for scale, chosen, exact in _alike(values, parts.mean.shape, scales, passes):
        units = values[chosen][:, ~np.isnan(values[chosen[0]])]
        count = units.shape[1]
        if count < 2:
            continue
        spread = np.ptp(units, axis=1) > 1e-12 * np.abs(units).max(axis=1)
        if not exact:
            flat["warning"][chosen] = np.where(spread, _tail_warning(scale, count, confidence), "all scores are equal")
            chosen, units = chosen[spread], units[spread]
        if exact:
            name, (low, high) = "Clopper-Pearson", clopper_pearson(np.rint(units.sum(axis=1)), count, confidence)
        elif count < BOOTSTRAP_FROM:
            name, (low, high) = f"{scale.name}t", student(units, scale, confidence)
        else:
            name, (low, high) = f"{scale.name}bootstrap-t", bootstrap_t(units, scale, confidence, draws, generator)
        flat["low"][chosen], flat["high"][chosen], flat["method"][chosen] = low, high, name
    return replace(result, **{name: array.reshape(parts.mean.shape) for name, array in flat.items()})


def _alike(
    values: Floats, shape: tuple[int, ...], scales: Sequence[Scale], passes: Sequence[bool]
) -> Iterator[tuple[Scale, NDArray[np.intp], bool]]:
    """Numbers of the means that are treated together: of one scale, with scores of the same units."""
    known = np.packbits(~np.isnan(values), axis=1)
    _, pattern = np.unique(known, axis=0, return_inverse=True)
    kinds = [(scale, bool(exact)) for scale, exact in zip(scales, passes, strict=True)]
    kind = np.repeat([kinds.index(k) for k in kinds], shape[1])
    for p, k in np.unique(np.stack([pattern.ravel(), kind]), axis=1).T:
        scale, exact = kinds[k]
        yield scale, np.flatnonzero((pattern.ravel() == p) & (kind == k)), exact


def _tail_warning(scale: Scale, count: int, confidence: float) -> str:
    """A warning where so few units cannot show the tail that the scores of a metric may have."""
    known = COVERED.get(scale.name, {})
    below = [n for n in known if n <= count]
    if not known or count > max(known):
        return ""
    covered = known[max(below)] if below else min(known.values())
    share = f"a nominal {100 * confidence:g} % interval of {count} covers"
    return f"{scale.tail}, {share} about {covered} %" if confidence == 0.95 else f"{scale.tail}, {share} less"


def block_warning(cases: int, groups: Sequence[int], confidence: float, alike: float = 0.5) -> str:
    """A warning where groups are too few to be the units, and cases are taken for independent.

    Args:
        cases: their number.
        groups: number of cases of each group.
        confidence: of the interval.
        alike: correlation of two cases of one group that is assumed.
    """
    covered = blocked_coverage(cases, groups, confidence, alike)
    return (
        f"{cases} cases in {len(groups)} group{'s' * (len(groups) > 1)}: if those of a group correlate by {alike:g}, a"
        f" nominal {100 * confidence:g} % interval covers about {100 * covered:.0f} %"
    )


def blocked_coverage(cases: int, groups: Sequence[int], confidence: float, alike: float) -> float:
    """The share that Student's interval of cases covers whose groups correlate.

    The variance of the mean grows by the design effect d = 1 + rho (sum m^2 / n - 1) of groups of m cases (Kish 1965),
    and that between the cases shrinks to (n - d) / (n - 1).
    """
    from scipy.special import stdtr, stdtrit

    effect = 1 + alike * (sum(size**2 for size in groups) / cases - 1)
    if effect >= cases or cases < 2:
        return 0.0
    reach = stdtrit(cases - 1, (1 + confidence) / 2) / np.sqrt(effect * (cases - 1) / (cases - effect))
    return float(2 * stdtr(max(1.0, len(groups) - 1 + (1 - alike) * (cases - len(groups))), reach) - 1)
