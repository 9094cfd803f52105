"""The computation from the scores: ranks, rank sums, how sure they are, every pair tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.compare.statistics.bootstrap import (
    Standing,
    rank_certainty,
    rank_rows,
    resampled_summaries,
    sum_ranks,
    summarise,
)
from segbench.compare.statistics.components import Components, components
from segbench.compare.statistics.consensus import Consensus, consensus_of
from segbench.compare.statistics.friedman import Friedman, friedman
from segbench.compare.statistics.intervals import Intervals
from segbench.compare.statistics.pairs import pairwise_tests
from segbench.compare.statistics.planning import seeds_needed
from segbench.compare.statistics.ranking import CUTS, RULES, Options, Rule
from segbench.compare.statistics.remarks import doubts, interval_doubts, other_orders
from segbench.compare.statistics.rows import tested_rows
from segbench.compare.statistics.score_intervals import intervals_of_means, intervals_of_medians
from segbench.compare.statistics.scores import (
    MEAN_OF_CLASSES,
    Row,
    Scores,
    all_data_sets,
    class_means,
    classes_as_cases,
)
from segbench.compare.statistics.significance import group_means
from segbench.compare.statistics.ties import Bools, Floats, Ties
from segbench.compare.statistics.variance import pooled_seeds
from segbench.errors import UserError

TOTAL = "total"
TIES = ("min", "max", "average", "dense")


@dataclass(frozen=True)
class Settings:
    """The settings of a comparison; the configuration of the same names.

    Attributes:
        metrics: the metrics whose ranks are summed; the first one decides figures and tests.
        ranking: name of the rule.
        ties: the rank that equals share.
        cuts: of the rule `tiers`.
        confidence: of every interval; 1 - confidence is the level of every test.
        bootstraps: number of resamples.
        seed: of the resampling.
        relevant: the smallest difference that matters, in units of the score; None: every one.
        baseline: a method that all others are compared with.
        weights: of data sets in their consensus, 1 where not named.
    """

    metrics: tuple[str, ...]
    ranking: str = "mean"
    ties: Ties = "min"
    cuts: tuple[float, ...] = CUTS
    confidence: float = 0.95
    bootstraps: int = 10_000
    seed: int = 0
    relevant: float | None = None
    baseline: str | None = None
    weights: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.ranking not in RULES:
            raise UserError(f"ranking={self.ranking}: unknown; choose one of {', '.join(RULES)}")
        if self.ties not in TIES:
            raise UserError(f"ties={self.ties}: unknown; choose one of {', '.join(TIES)}")
        if not 0 < self.confidence < 1:
            raise UserError(f"confidence={self.confidence}: must lie between 0 and 1, such as 0.95")
        if self.bootstraps < 100:
            raise UserError(f"bootstraps={self.bootstraps}: at least 100 are needed for an interval")
        if list(self.cuts) != sorted(set(self.cuts)) or not self.cuts or self.cuts[0] < 0:
            raise UserError(f"cuts={list(self.cuts)}: must be shortfalls in rising order, such as {list(CUTS)}")

    @property
    def rule(self) -> Rule:
        """The ranking rule."""
        return RULES[self.ranking]

    @property
    def level(self) -> float:
        """The level of significance of the tests."""
        return round(1 - self.confidence, 12)

    @property
    def options(self) -> Options:
        """The options of the rule."""
        return Options(ties=self.ties, cuts=self.cuts, alpha=self.level)


@dataclass(frozen=True)
class Comparison:
    """The result, of M methods.

    Attributes:
        settings: how it was made.
        sets: the scores of each data set, data sets unseen in training last.
        ranks: for each of the sets, (R, M).
        summaries: for each of the sets, (R + K, M) the score shown, mean or median over the cases;
            then its mean over the classes for each of the K metrics.
        intervals: for each of the sets, (R + K, M) of the summaries.
        rank_intervals: for each of the sets, low and high of the ranks; NaN where not resampled.
        standings: orders by rank sum, for each data set and as "total" over the data sets seen in training.
        best_score: (M,) share of the resamples in which the mean over classes and data sets of the method's scores is
            the best; NaN where not resampled.
        other_rules: the standing of "total" by every rule.
        means: for each of the sets, the mean over classes of each metric, case by case.
        overall: the same over all data sets seen in training.
        tested: what the pairs were tested on: the sets, their means, and `overall`.
        pairs: every pair of methods on every row of these, see `pairwise_tests`.
        consensus: the order that counts each data set once, and that by each metric.
        components: the components of variance of each data set seen in training, for the first metric.
        friedman: Friedman's test of `overall` for each metric.
        notes: what a reader must know: what was left out, what could not be computed.
    """

    settings: Settings
    sets: list[Scores]
    ranks: list[Floats]
    summaries: list[Floats]
    intervals: list[Intervals]
    rank_intervals: list[tuple[Floats, Floats]]
    standings: dict[str, Standing]
    best_score: Floats
    other_rules: dict[str, Standing]
    means: list[Scores]
    overall: Scores
    tested: list[Scores]
    pairs: pd.DataFrame
    consensus: Consensus
    components: list[Components]
    friedman: dict[str, Friedman]
    notes: list[str]

    @property
    def methods(self) -> tuple[str, ...]:
        """(M,) names."""
        return self.sets[0].methods

    def repeated(self, metric: str) -> bool:
        """Return whether some method was run with more than one seed."""
        known = ~np.isnan(self.overall.repeats[self.overall.chosen([metric])])
        return bool((known.sum(axis=2) > 1).any())

    @property
    def retrained(self) -> bool:
        """True if every method was trained with several seeds: methods are compared, and not trained networks."""
        known = ~np.isnan(self.overall.repeats).all(axis=0)
        return bool((known.sum(axis=1) > 1).all())

    @property
    def best_score_is(self) -> str:
        """Name of the best of the scores that are shown: "highest mean", "lowest median", .."""
        end = "highest" if self.larger(self.settings.metrics[0]) else "lowest"
        return f"{end} {self.settings.rule.shown}"

    def larger(self, metric: str) -> bool:
        """Return whether a larger score of a metric is better."""
        return any(
            bool(larger)
            for s in self.sets
            for row, larger in zip(s.rows, s.larger, strict=True)
            if row.metric == metric
        )

    @property
    def total(self) -> Standing:
        """The order by the total rank sum."""
        return self.standings[TOTAL]

    def matrix(self, scores: Scores, row: Row, column: str) -> Floats | None:
        """(M, M) a symmetric column of `pairs` for one row, NaN on the diagonal; None if not tested."""
        tests = self._tests.get((scores.trained_on, scores.dataset, scores.split, *row))
        if tests is None:
            return None
        first, second = np.triu_indices(len(self.methods), k=1)
        square = np.full((len(self.methods),) * 2, np.nan)
        square[first, second] = square[second, first] = self.pairs[column].to_numpy(dtype=np.float64)[tests]
        return square

    def overall_pairs(self, metric: str) -> pd.DataFrame:
        """The pairs on the mean over classes and data sets of a metric."""
        s = self.overall
        tests = self._tests.get((s.trained_on, s.dataset, s.split, metric, MEAN_OF_CLASSES))
        return self.pairs.iloc[[] if tests is None else tests]

    def seeds_for(self, gap: float) -> int | None:
        """The number of seeds of two methods for a gap in the mean to exceed their noise; None where not known."""
        row = self.overall.rows.index(Row(self.settings.metrics[0], MEAN_OF_CLASSES))
        variance, freedom, _ = pooled_seeds(self.overall.repeats[row])
        return seeds_needed(float(np.sqrt(variance)) / gap, self.settings.level) if freedom and gap else None

    def better(self, scores: Scores, row: Row) -> Bools:
        """(M, M) true where the first method is significantly better than the second on a row."""
        square = np.zeros((len(self.methods),) * 2, dtype=bool)
        tests = self._tests.get((scores.trained_on, scores.dataset, scores.split, *row))
        if tests is not None:
            lines = self.pairs.iloc[tests]
            first, second = np.triu_indices(len(self.methods), k=1)
            square[first, second] = lines["better"].to_numpy() == lines["method"].to_numpy()
            square[second, first] = lines["better"].to_numpy() == lines["other"].to_numpy()
        return square

    @cached_property
    def _tests(self) -> dict[tuple[str, ...], NDArray[np.intp]]:
        """Lines of `pairs` by row."""
        rows = [(s.trained_on, s.dataset, s.split, *row) for s in self.tested for row in s.rows]
        count = len(self.methods) * (len(self.methods) - 1) // 2
        return {row: np.arange(k * count, (k + 1) * count) for k, row in enumerate(rows)}

    @property
    def order(self) -> list[int]:
        """Numbers of the methods, best first; equal rank sums by the mean score."""
        metric = self.overall.rows.index(Row(self.settings.metrics[0], MEAN_OF_CLASSES))
        score = np.nanmean(self.overall.values[metric], axis=1)
        key = -score if self.overall.larger[metric] else score
        return [int(k) for k in np.lexsort((key, np.nan_to_num(self.total.rank_sums, nan=np.inf)))]


def compare_scores(
    sets: Sequence[Scores], settings: Settings, progress: Callable[[str, int], None] = lambda *_: None
) -> Comparison:
    """Rank the methods and say how sure the order is.

    Args:
        sets: the scores, see `tabulate`.
        settings: how.
        progress: called with the name of a ranking rule and the number of resamples done.

    Raises:
        UserError: if there is nothing to compare: one method, or no score of a metric asked for.
    """
    _check(sets, settings)
    rule, options = settings.rule, settings.options
    seen = [s for s in sets if s.split == "test"]
    plain = all(len(s.cases) == 1 for s in sets)
    masks = {
        **{s.name: [other.chosen(settings.metrics) & (s is other) for other in sets] for s in sets},
        TOTAL: [s.chosen(settings.metrics) & (s.split == "test") for s in sets],
    }
    once = [np.ones((1, len(s.cases))) for s in sets]
    ranks = [rank_rows(s, w, rule, options)[:, 0] for s, w in zip(sets, once, strict=True)]
    summaries = [summarise(s, w, rule)[0] for s, w in zip(sets, once, strict=True)]
    draws: Mapping[str, Any] = {
        "draws": settings.bootstraps,
        "confidence": settings.confidence,
        "seed": settings.seed,
    }
    means = [class_means(s) for s in sets]
    overall = classes_as_cases(seen) if plain else all_data_sets([m for m in means if m.split == "test"])
    tested = [overall] if plain else [*sets, *means, *([overall] if len(seen) > 1 else [])]
    certainty = None
    if plain:
        rank_intervals = [(np.full_like(x, np.nan),) * 2 for x in ranks]
        standings = {name: Standing.unsure(sum_ranks(ranks, rows)) for name, rows in masks.items()}
    else:
        certainty = rank_certainty(
            sets,
            masks,
            rule,
            options,
            metric=settings.metrics[0],
            progress=partial(progress, settings.ranking),
            **draws,
        )
        rank_intervals = list(zip(certainty.low, certainty.high, strict=True))
        standings = certainty.standings
    resamples = None
    if rule.of_cases is None and not plain:
        resamples = resampled_summaries(sets, rule, draws=settings.bootstraps, seed=settings.seed)
        intervals = [
            intervals_of_medians(s, x, r, confidence=settings.confidence)
            for s, x, r in zip(sets, summaries, resamples, strict=True)
        ]
    else:
        intervals = [intervals_of_means(s, mean, **draws) for s, mean in zip(sets, means, strict=True)]
    others = {
        name: standings[TOTAL] if other is rule else _total(seen, settings, name, draws, plain, progress)
        for name, other in RULES.items()
    }
    sums = {name: standing.rank_sums for name, standing in standings.items()}
    consensus = consensus_of(sets, sums, rule, options, dict(settings.weights))
    sources = [c for s in seen if (c := components(s, settings.metrics[0])) is not None]
    return Comparison(
        settings=settings,
        sets=list(sets),
        ranks=ranks,
        summaries=summaries,
        intervals=intervals,
        rank_intervals=rank_intervals,
        standings=standings,
        best_score=np.full(len(sets[0].methods), np.nan) if certainty is None else certainty.best_score,
        other_rules=others,
        means=means,
        overall=overall,
        tested=tested,
        pairs=pairwise_tests(
            tested_rows(sets, means, overall, rule, summaries, resamples),
            rule,
            settings.confidence,
            relevant=settings.relevant,
            together=settings.metrics,
            baseline=settings.baseline,
        ),
        consensus=consensus,
        components=sources,
        friedman=_friedman(overall, settings.level),
        notes=[
            *doubts(sets, overall, plain),
            *interval_doubts(sets, intervals, settings.metrics),
            *(c.planned(settings.level) for c in sources),
            *other_orders(consensus, standings[TOTAL].positions, sets[0].methods),
        ],
    )


def _total(
    seen: Sequence[Scores],
    settings: Settings,
    name: str,
    draws: Mapping[str, Any],
    plain: bool,
    progress: Callable[[str, int], None],
) -> Standing:
    """The order that another rule gives; a slow rule is not resampled."""
    rule, options = RULES[name], settings.options
    chosen = [s.only(settings.metrics) for s in seen]
    masks = [np.ones(len(s.rows), dtype=bool) for s in chosen]
    if plain or rule.slow:
        ranks = [rank_rows(s, np.ones((1, len(s.cases))), rule, options)[:, 0] for s in chosen]
        return Standing.unsure(sum_ranks(ranks, masks))
    order = {TOTAL: masks}
    found = rank_certainty(chosen, order, rule, options, retrainings=40, progress=partial(progress, name), **draws)
    return found.standings[TOTAL]


def _check(sets: Sequence[Scores], settings: Settings) -> None:
    methods = sets[0].methods
    if len(methods) < 2:
        raise UserError(f"only one method ('{methods[0]}'): a comparison needs at least two")
    for metric in settings.metrics:
        for s in sets:
            if s.split == "test" and metric not in s.metrics:
                raise UserError(
                    f"metric={metric}: data set '{s.dataset}' has no such scores, only {', '.join(s.metrics)}"
                )


def _friedman(overall: Scores, alpha: float) -> dict[str, Friedman]:
    tests = {}
    for row, values, larger in zip(overall.rows, overall.values, overall.larger, strict=True):
        units, _ = group_means(values, overall.units)
        if np.count_nonzero(~np.isnan(units).any(axis=0)) > 1:
            tests[row.metric] = friedman(units, bool(larger), alpha)
    return tests
