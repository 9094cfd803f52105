"""Components of variance of a data set's scores: from case to case, seed to seed, fold to fold, and the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.compare.statistics.planning import Chance, resolution
from segbench.compare.statistics.scores import Scores, class_means
from segbench.compare.statistics.significance import group_means
from segbench.compare.statistics.ties import Bools, Floats


@dataclass(frozen=True)
class Components:
    """Standard deviations of the mean over classes, each the root of a variance averaged over methods; NaN = not known.

    Attributes:
        dataset: name of the data set.
        metric: whose scores.
        units: independent units with a score of every method.
        cases: from unit to unit, of a method trained again and again.
        seeds: from seed to seed, of all units together.
        rest: of one seed in one unit, beyond these.
        folds: from fold to fold, of the units that they have in common in size.
        spread: from unit to unit, as the scores are.
        correlation: between two methods over the units, the median over pairs.
        chance: what makes up the difference of two methods, the median over pairs.
        repeated: seeds of each method, the mean over methods rounded.
    """

    dataset: str
    metric: str
    units: int
    cases: float
    seeds: float
    rest: float
    folds: float
    spread: float
    correlation: float
    chance: Chance
    repeated: int = 1

    def planned(self, level: float) -> str:
        """A sentence for a planner: which difference this data set can show, and what half of it takes."""
        known = f"{self.units} cases, SD {self.spread:.2g}, r = {self.correlation:.2f} between methods"
        if np.isfinite(self.seeds):
            known += f", SD between seeds {self.seeds:.2g}, {self.repeated} seeds"
        if not self.chance.error(self.units, self.repeated):
            return f"{self.dataset}, {self.metric}: {known}"
        return f"{self.dataset}, {self.metric}: {known}: {resolution(self.chance, self.units, self.repeated, level)}"


def components(scores: Scores, metric: str) -> Components | None:
    """The components of a metric's mean over classes; None of fewer than three units that all methods have.

    Cases and seeds are crossed, as every seed is tested on every case: two-way layout without replication, method of
    moments (Searle, Casella and McCulloch 1992, Variance Components, 4.4).
    """
    row = class_means(scores.only([metric]))
    values, _ = group_means(row.values[0], scores.units)
    known: Bools = np.logical_and.reduce(~np.isnan(values), axis=0)
    values = values[:, known]
    count = values.shape[1]
    if count < 3 or len(values) < 2:
        return None
    total = values.var(axis=1, ddof=1)
    of_cases, of_seeds, rest, seeds = total.mean(), np.nan, np.nan, 1.0
    table = _by_seed(scores, metric, known)
    if table is not None:
        parts = np.array([_two_way(one[~np.isnan(one).any(axis=1)]) for one in table])
        of_cases, of_seeds, rest = np.nanmean(parts[:, :3], axis=0)
        seeds = float(np.nanmean(parts[:, 3]))
    first, second = np.triu_indices(len(values), k=1)
    apart = (values[first] - values[second]).var(axis=1, ddof=1)
    own = float(np.median(apart)) - (2 * float(rest) / seeds if np.isfinite(rest) else 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (total[first] + total[second] - apart) / (2 * np.sqrt(total[first] * total[second]))
    unit_folds = scores.unit_folds
    folds = np.nan if unit_folds is None else _between(values, unit_folds[known])
    root = [float(np.sqrt(max(v, 0.0))) if np.isfinite(v) else float("nan") for v in (of_cases, of_seeds, rest, folds)]
    again = [0.0 if np.isnan(v) else v for v in root[1:3]]
    return Components(
        dataset=scores.name,
        metric=metric,
        units=count,
        cases=root[0],
        seeds=root[1],
        rest=root[2],
        folds=root[3],
        spread=float(np.sqrt(total.mean())),
        correlation=float(np.nanmedian(correlation)) if np.isfinite(correlation).any() else float("nan"),
        chance=Chance(cases=float(np.sqrt(max(own, 0.0))), rest=again[1], seeds=again[0]),
        repeated=round(seeds),
    )


def _by_seed(scores: Scores, metric: str, known: Bools) -> Floats | None:
    """(M, S, G) mean over classes of each seed in each unit; None where there is one seed or none has all units."""
    if scores.seeds is None:
        return None
    means = scores.seeds[:, scores.chosen([metric])].mean(axis=1)
    table = np.stack([group_means(of_seed, scores.units)[0] for of_seed in means], axis=1)[:, :, known]
    complete = ~np.isnan(table).any(axis=2)
    return table if (complete.sum(axis=1) > 1).any() else None


def _two_way(table: Floats) -> tuple[float, float, float, float]:
    """Variances between cases, between seeds and of the rest, and the number of seeds, of a (S, G) table."""
    seeds, cases = table.shape
    if seeds < 2:
        return (np.nan,) * 4
    of_seeds, of_cases = table.mean(axis=1), table.mean(axis=0)
    left = table - of_seeds[:, None] - of_cases + table.mean()
    rest = float((left**2).sum() / ((seeds - 1) * (cases - 1)))
    return (
        max(float(of_cases.var(ddof=1)) - rest / seeds, 0.0),
        max(float(of_seeds.var(ddof=1)) - rest / cases, 0.0),
        rest,
        float(seeds),
    )


def _between(values: Floats, folds: NDArray[np.intp]) -> float:
    """Variance between folds, averaged over methods: one-way layout, method of moments."""
    sizes = np.bincount(folds)
    if len(sizes) < 2 or (sizes < 2).any():
        return float("nan")
    sums = np.zeros((len(values), len(sizes)))
    np.add.at(sums.T, folds, values.T)
    means = sums / sizes
    within = ((values - means[:, folds]) ** 2).sum(axis=1) / (len(folds) - len(sizes))
    between = (sizes * (means - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / (len(sizes) - 1)
    usual = (len(folds) - (sizes**2).sum() / len(folds)) / (len(sizes) - 1)
    return float(np.maximum((between - within) / usual, 0.0).mean())
