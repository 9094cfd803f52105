"""The order over several data sets and several metrics: its consensus, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segbench.compare.statistics.bootstrap import rank_rows, sum_ranks
from segbench.compare.statistics.ranking import Options, Rule
from segbench.compare.statistics.scores import Scores
from segbench.compare.statistics.ties import Floats, place, settle
from segbench.errors import UserError


@dataclass(frozen=True)
class Consensus:
    """Orders of M methods that count each of K data sets once, whatever its number of classes.

    Attributes:
        data_sets: (K) names of the data sets seen in training.
        weights: (K,) of each, with the sum 1.
        places: (K, M) place by rank sum in each.
        mean_places: (M,) their weighted mean; its order minimises the squared Euclidean distances to those of the data
            sets, the consensus that challengeR calls Euclidean (Wiesenfarth et al. 2021).
        positions: (M,) place by it.
        by_metric: for each metric that all data sets have, (M,) place by the sum of its ranks alone.
    """

    data_sets: tuple[str, ...]
    weights: Floats
    places: Floats
    mean_places: Floats
    positions: Floats
    by_metric: dict[str, Floats]

    @property
    def apart(self) -> Floats:
        """(K, K) distance of the orders of two data sets: (1 - Kendall's tau-b) / 2, from 0 (equal) to 1 (reversed)."""
        return distances(self.places)


def consensus_of(
    sets: Sequence[Scores],
    rank_sums: Mapping[str, Floats],
    rule: Rule,
    options: Options,
    weights: Mapping[str, float],
) -> Consensus:
    """The consensus of the data sets seen in training.

    Args:
        sets: the scores.
        rank_sums: (M,) of each data set, by name.
        rule: the ranking rule.
        options: what it needs.
        weights: of data sets, 1 where not named.

    Raises:
        UserError: if a weight is of no data set.
    """
    seen = [s for s in sets if s.split == "test"]
    names = tuple(s.name for s in seen)
    for name in weights:
        if name not in names:
            raise UserError(f"weights={{{name}: ..}}: no such data set; there are {', '.join(names)}")
    shares = np.array([float(weights.get(name, 1.0)) for name in names])
    shares = shares / shares.sum()
    places = place(np.stack([rank_sums[name] for name in names]), larger=False)
    means = settle(shares @ places)
    ranks = [rank_rows(s, np.ones((1, len(s.cases))), rule, options)[:, 0] for s in seen]
    shared = [metric for metric in seen[0].metrics if all(metric in s.metrics for s in seen)]
    by_metric = {m: place(sum_ranks(ranks, [s.chosen([m]) for s in seen]), larger=False) for m in shared}
    return Consensus(names, shares, places, means, place(means, larger=False), by_metric)


def distances(places: Floats) -> Floats:
    """(K, K) of orders (K, M): (1 - Kendall's tau-b) / 2, and 0.5 where an order has no differences at all."""
    signs = np.sign(places[:, :, None] - places[:, None, :]).reshape(len(places), -1)
    signs = np.nan_to_num(signs)
    agreement = signs @ signs.T
    own = np.diag(agreement)
    size = np.sqrt(own[:, None] * own[None])
    tau = np.divide(agreement, size, out=np.zeros_like(agreement), where=size > 0)
    np.fill_diagonal(tau, 1.0)
    return np.asarray((1 - tau) / 2)
