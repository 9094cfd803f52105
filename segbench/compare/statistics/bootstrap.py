"""The paired bootstrap: the spread of scores, ranks and rank sums had other cases been drawn.

Cases are drawn with replacement within each data set, whole groups (patients) at a time where groups
are known; every method sees the same draw. Where methods were trained with several seeds, these are drawn too, for each
method by itself: cases and seeds are crossed. Draws are made, ranked and counted in blocks, and only
counts are kept, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.ranking import Options, Rule
from segbench.compare.statistics.retraining import Retraining
from segbench.compare.statistics.scores import Scores
from segbench.compare.statistics.ties import Bools, Floats, place, settle

BLOCK = 2**22
"""Numbers in the largest array of a block."""


@dataclass(frozen=True)
class Standing:
    """An order of M methods by rank sum, and how far it can be trusted (NaN where nothing was resampled).

    Attributes:
        rank_sums: (M,) smaller is better.
        positions: (M,) rank of the rank sum, equal sums share the best.
        low: (M,) lower end of the interval of the rank sum.
        high: (M,) upper end.
        first: (M,) share of the resamples in which the method is first; equals share it.
        shares: (M, M) share of the resamples in which method m stands at position p + 1.
        ahead: (M, M) share of the resamples in which method i has a smaller rank sum than j.
        tau: Kendall's tau-b between a resample's order and this one: median, low, high.
    """

    rank_sums: Floats
    positions: Floats
    low: Floats
    high: Floats
    first: Floats
    shares: Floats
    ahead: Floats
    tau: tuple[float, float, float]

    @classmethod
    def unsure(cls, rank_sums: Floats) -> Standing:
        """The order alone."""
        line, square = np.full(len(rank_sums), np.nan), np.full((len(rank_sums),) * 2, np.nan)
        nan = float("nan")
        return cls(rank_sums, place(rank_sums, larger=False), line, line, line, square, square, (nan, nan, nan))


@dataclass(frozen=True)
class RankCertainty:
    """The certainty of ranks by resampling.

    Attributes:
        low: for each of the score sets, (R, M) lower end of the interval of the rank.
        high: upper ends.
        standings: by name, the orders asked for.
        best_score: (M,) share of the resamples in which the method has the best score; NaN where it was not asked.
    """

    low: list[Floats]
    high: list[Floats]
    standings: dict[str, Standing]
    best_score: Floats


def resample(groups: NDArray[np.intp], draws: int, generator: np.random.Generator) -> Floats:
    """Draw whole groups at random, and count how often each case is drawn.

    Args:
        groups: (N,) group number of each case, from 0.
        draws: number of resamples B.
        generator: source of randomness.

    Returns:
        (B, N); the number of groups drawn is the number there are.
    """
    count = int(groups.max()) + 1
    drawn = generator.integers(0, count, size=(draws, count)) + count * np.arange(draws)[:, None]
    times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
    return times[:, groups].astype(np.float64)


class Tally:
    """Counts of K quantities on even grids, from which their quantiles are read.

    Args:
        start: (K,) first grid point of each quantity.
        step: (K,) distance of its grid points.
        bins: number of grid points.
    """

    def __init__(self, start: Floats, step: Floats, bins: int) -> None:
        self.start, self.step, self.bins = start, step, bins
        self.counts = np.zeros((len(start), bins), dtype=np.int32)

    def add(self, values: Floats) -> None:
        """Count (B, K) values at the nearest grid point; NaN does not count."""
        known = ~np.isnan(values)
        points = np.rint((np.where(known, values, 0.0) - self.start) / self.step).clip(0, self.bins - 1)
        flat = (points + self.bins * np.arange(len(self.start)))[known].astype(np.intp)
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)

    def quantile(self, share: float) -> Floats:
        """(K,) smallest grid point that at least `share` of the values do not exceed; NaN without values."""
        reached = np.cumsum(self.counts, axis=1)
        total = reached[:, -1:]
        points = np.count_nonzero(reached < share * total, axis=1)
        return np.where(total[:, 0] > 0, self.start + self.step * points, np.nan)


class _Order:
    """Counts of one order by rank sum over the resamples."""

    def __init__(self, rank_sums: Floats, largest: int) -> None:
        methods = len(rank_sums)
        self.rank_sums = rank_sums
        self.positions = place(rank_sums, larger=False)
        self.sign = _signs(rank_sums)
        self.sums = Tally(np.zeros(methods), np.full(methods, 0.5), 2 * largest + 1)
        self.places = Tally(np.ones(methods), np.ones(methods), methods)
        self.first = np.zeros(methods)
        self.ahead = np.zeros((methods, methods))
        self.taus: list[Floats] = []

    def add(self, rank_sums: Floats) -> None:
        """Count (B, M) rank sums of resamples."""
        self.sums.add(rank_sums)
        self.places.add(place(rank_sums, larger=False))
        leads = rank_sums == rank_sums.min(axis=1, keepdims=True)
        self.first += (leads / leads.sum(axis=1, keepdims=True)).sum(axis=0)
        signs = _signs(rank_sums)
        self.ahead += np.count_nonzero(signs < 0, axis=0)
        agreement = np.einsum("bij,ij->b", signs, self.sign, dtype=np.float64)
        pairs = np.sqrt(np.count_nonzero(signs, axis=(1, 2)) * float(np.count_nonzero(self.sign)))
        self.taus.append(np.divide(agreement, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))

    def standing(self, draws: int, tail: float) -> Standing:
        taus = np.concatenate(self.taus)
        taus = taus[~np.isnan(taus)]
        quantiles = np.quantile(taus, [0.5, tail, 1 - tail]).tolist() if len(taus) else [float("nan")] * 3
        return Standing(
            rank_sums=self.rank_sums,
            positions=self.positions,
            low=self.sums.quantile(tail),
            high=self.sums.quantile(1 - tail),
            first=self.first / draws,
            shares=self.places.counts / draws,
            ahead=self.ahead / draws,
            tau=(quantiles[0], quantiles[1], quantiles[2]),
        )


def _signs(rank_sums: Floats) -> NDArray[np.int8]:
    """(..., M, M) -1 where method i has the smaller rank sum, 1 where j has, 0 where they are equal."""
    first, second = rank_sums[..., :, None], rank_sums[..., None, :]
    return (first > second).astype(np.int8) - (first < second)


def rank_rows(scores: Scores, weights: Floats, rule: Rule, options: Options) -> Floats:
    """(R, B, M) ranks of every row of a score set; see `ranking` for the arguments."""
    return np.stack(
        [
            rule.ranks(values, weights, replace(options, larger=bool(larger), groups=scores.units))
            for values, larger in zip(scores.values, scores.larger, strict=True)
        ]
    )


def sum_ranks(ranks: Sequence[Floats], masks: Sequence[Bools]) -> Floats:
    """(..., M) sum over the chosen rows of the (R, ..., M) ranks of each score set."""
    chosen = np.concatenate([r[rows] for r, rows in zip(ranks, masks, strict=True)])
    return np.asarray(chosen.sum(axis=0))


def _draws(score_sets: Sequence[Scores], draws: int, seed: int, retrainings: int = 1) -> Iterator[list[Floats]]:
    """Blocks of weights, (B, N) for each score set; each set is drawn for itself."""
    generators = [np.random.default_rng([seed, k]) for k in range(len(score_sets))]
    sizes = [s.values.shape for s in score_sets]
    block = int(np.clip(BLOCK // max(max(n, r * m, m * m) for r, m, n in sizes), 16, 1024))
    if any(s.seeds is not None for s in score_sets):
        block = min(block, -(-draws // retrainings))
    for begin in range(0, draws, block):
        count = min(block, draws - begin)
        yield [resample(s.drawn, count, g) for s, g in zip(score_sets, generators, strict=True)]


def summarise(scores: Scores, weights: Floats, rule: Rule) -> Floats:
    """(B, R + K, M) the score of every row, then its mean over the rows of each of the K metrics."""
    rows = np.stack([rule.summary(values, weights) for values in scores.values], axis=1)
    means = [rows[:, scores.chosen([metric])].mean(axis=1) for metric in scores.metrics]
    return np.concatenate([rows, np.stack(means, axis=1)], axis=1)


def resampled_summaries(score_sets: Sequence[Scores], rule: Rule, *, draws: int, seed: int) -> list[Floats]:
    """For each score set, (B, R + K, M) the scores of B resamples, as in `summarise`."""
    blocks = [
        [summarise(s, w, rule) for s, w in zip(score_sets, weights, strict=True)]
        for weights in _draws(score_sets, draws, seed)
    ]
    return [np.concatenate(of_set) for of_set in zip(*blocks, strict=True)]


def rank_certainty(
    score_sets: Sequence[Scores],
    orders: Mapping[str, Sequence[Bools]],
    rule: Rule,
    options: Options,
    *,
    draws: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    metric: str | None = None,
    retrainings: int = 200,
    progress: Callable[[int], None] = lambda _: None,
) -> RankCertainty:
    """Resample the cases and, where there are several, the seeds of each method, and rank again.

    Args:
        score_sets: the scores, one set for each data set; all of the same M methods.
        orders: by name, the rows that are summed: for each score set, (R,) true where a row counts.
        rule: the ranking rule.
        options: what the rule needs.
        draws: number of resamples.
        confidence: 0.95 for 95 % percentile intervals.
        seed: same seed, same draws.
        metric: whose mean over classes and data sets seen in training says which score is best.
        retrainings: draws of the seeds, each for a block of draws of the cases.
        progress: called with the number of resamples done after each block.

    Returns:
        Intervals of the ranks, and the standing of each order. A resample that holds no case of a
        method puts that method last.
    """
    methods = len(score_sets[0].methods)
    worst = max(methods, len(options.cuts) + 1)
    full = [rank_rows(s, np.ones((1, len(s.cases))), rule, options)[:, 0] for s in score_sets]
    counted = {
        name: _Order(sum_ranks(full, masks), worst * sum(int(rows.sum()) for rows in masks))
        for name, masks in orders.items()
    }
    tallies = [Tally(np.ones(f.size), np.full(f.size, 0.5), 2 * worst) for f in full]
    done = 0
    best = np.zeros(methods)
    retraining = [Retraining(s, np.random.default_rng([seed, k, 2])) for k, s in enumerate(score_sets)]
    for weights in _draws(score_sets, draws, seed, retrainings):
        again = [one.draw() for one in retraining]
        blocks = [rank_rows(s, w, rule, options) for s, w in zip(again, weights, strict=True)]
        if metric is not None:
            best += _best_scores(again, weights, rule, metric)
        for tally, ranks in zip(tallies, blocks, strict=True):
            tally.add(ranks.transpose(1, 0, 2).reshape(ranks.shape[1], -1))
        last = [np.where(np.isnan(ranks), worst, ranks) for ranks in blocks]
        for name, masks in orders.items():
            counted[name].add(sum_ranks(last, masks))
        done += len(weights[0])
        progress(done)
    tail = (1 - confidence) / 2
    return RankCertainty(
        low=[t.quantile(tail).reshape(f.shape) for t, f in zip(tallies, full, strict=True)],
        high=[t.quantile(1 - tail).reshape(f.shape) for t, f in zip(tallies, full, strict=True)],
        standings={name: order.standing(draws, tail) for name, order in counted.items()},
        best_score=best / draws if metric is not None else np.full(methods, np.nan),
    )


def _best_scores(sets: Sequence[Scores], weights: Sequence[Floats], rule: Rule, metric: str) -> Floats:
    """(M,) number of the resamples in which a method has the best score of a metric; equals share one."""
    means, larger = [], True
    for s, w in zip(sets, weights, strict=True):
        rows = s.chosen([metric])
        if s.split == "test" and rows.any():
            larger = bool(s.larger[rows][0])
            means.append(np.mean([rule.summary(values, w) for values in s.values[rows]], axis=0))
    joint = settle(np.mean(means, axis=0)) * (1 if larger else -1)
    leads = joint == np.where(np.isnan(joint), -np.inf, joint).max(axis=1, keepdims=True)
    return np.asarray((leads / np.maximum(leads.sum(axis=1, keepdims=True), 1)).sum(axis=0))
