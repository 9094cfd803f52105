"""Every pair of methods on every row: what they differ by where they are ranked, its test, and what may be claimed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segbench.compare.statistics.effects import Pairs, mean_effects, resampled_effects
from segbench.compare.statistics.folds import corrected_p
from segbench.compare.statistics.ranking import Rule
from segbench.compare.statistics.relevance import relevance
from segbench.compare.statistics.rows import Tested
from segbench.compare.statistics.scores import MEAN_OF_CLASSES, Scores
from segbench.compare.statistics.signed_rank_rope import signed_rank_rope
from segbench.compare.statistics.significance import group_means, holm, median_of_known, signed_rank
from segbench.compare.statistics.ties import Floats, settle
from segbench.compare.statistics.variance import seed_noise, seed_variance

BLOCK = 2**21
"""Differences tested at once."""
DRAWS = 2000
"""Number of draws of the posterior, for the second opinion on relevance."""
COLUMNS = [
    *("dataset", "trained_on", "split", "metric", "class", "method", "other", "statistic", "test", "n"),
    *("difference", "low", "high", "mean_difference", "median_difference", "wins", "ties", "losses", "effect"),
    *("p", "p_holm", "p_baseline", "p_signed_rank", "p_folds", "leads", "better", "false_claim", "relevance"),
    *("bayes_better", "bayes_equivalent", "bayes_worse"),
    *("seed_noise", "within_seed_noise"),
]


def pairwise_tests(
    tested: Sequence[Tested],
    rule: Rule,
    confidence: float = 0.95,
    *,
    relevant: float | None = None,
    together: Sequence[str] = (),
    baseline: str | None = None,
) -> pd.DataFrame:
    """Compare every two methods on every row.

    Methods are compared by what they are ranked by, unit by unit where they are (cases, or groups where groups are
    known); see `effects`. p-values are adjusted by Holm: one family is all pairs on one class of one data set, and all
    metrics that were asked for together.

    Args:
        tested: the rows.
        rule: the ranking rule.
        confidence: of the intervals; tests are made at 1 - confidence.
        relevant: differences below it do not matter; None: not asked.
        together: metrics whose tests are one family.
        baseline: a method whose comparisons with the others are also a family of their own.

    Returns:
        A line for each pair and row: dataset, trained_on, split, metric, class, method, other, statistic ("mean", ..),
        test, n (independent units), difference (of the statistic, method - other) with low and high; mean_difference,
        median_difference, wins, ties and losses of `method`, effect (rank-biserial correlation, positive where `method`
        has larger scores), p, p_holm, p_baseline, p_signed_rank (Wilcoxon's, as a second opinion), p_folds (over folds,
        corrected for their common training cases), leads (the method that the difference is in favour of, or empty),
        better (the same where it is significant), false_claim (probability that the leading one is not better),
        relevance ("better", "equivalent", "worse" or "undecided" of `method`), bayes_better, bayes_equivalent and
        bayes_worse (of means over classes, a second opinion on it: see `signed_rank_rope`), seed_noise (the gap that a
        change of seeds alone exceeds in 1 - confidence of all pairs), within_seed_noise.
    """
    lines = pd.concat([_row_tests(one, rule, confidence, relevant) for one in tested], ignore_index=True)
    family = lines["metric"].where(~lines["metric"].isin(list(together)), "")
    keys = [lines[name] for name in ("dataset", "trained_on", "split", "class")]
    asked = {"p_holm": lines["p"]}
    if baseline is not None:
        asked["p_baseline"] = lines["p"].where((lines["method"] == baseline) | (lines["other"] == baseline))
    for name, p in asked.items():
        lines[name] = p.groupby([*keys, family], sort=False).transform(lambda group: holm(group.to_numpy()))
    significant = (lines["p_holm"] < round(1 - confidence, 12)) & lines.pop("agrees")
    lines["better"] = lines["leads"].where(significant, "")
    claimed = lines["relevance"].isin(["better", "worse"])
    lines["relevance"] = lines["relevance"].mask(claimed & (lines["better"] == ""), "undecided")
    return lines.assign(**{name: np.nan for name in COLUMNS if name not in lines})[COLUMNS]


def _row_tests(one: Tested, rule: Rule, confidence: float, relevant: float | None) -> pd.DataFrame:
    scores, row = one.scores, one.row
    pairs = np.triu_indices(len(scores.methods), k=1)
    noise = seed_noise(scores.repeats[row], confidence)[pairs]
    if one.parts is not None:
        seeds = seed_variance(scores.repeats[row], pairs) if rule.statistic == "mean" else None
        effects = mean_effects(one.parts, pairs, confidence, seeds)
    else:
        assert one.resamples is not None
        units = np.count_nonzero(~np.isnan(group_means(scores.values[row], scores.units)[0]), axis=1)
        effects = resampled_effects(one.statistic, one.resamples, units, pairs, confidence)
    table = _described(scores.values[row], scores, pairs)
    sign = -1.0 if one.smaller else 1.0
    ahead = np.sign(sign * np.nan_to_num(effects.difference)).astype(int)
    way = np.sign(table["effect"].to_numpy()) * (1 if scores.larger[row] else -1)
    p, test, agrees = effects.p, effects.test, np.ones(len(ahead), dtype=bool)
    if rule.test:
        p, test, agrees = table["p_signed_rank"].to_numpy(), np.full(len(ahead), rule.test), way == ahead
    if not scores.larger[row]:
        table = table.rename(columns={"wins": "losses", "losses": "wins"})
    names = np.array([*scores.methods, ""], dtype=object)
    first, second = pairs
    return table.assign(
        dataset=scores.dataset,
        trained_on=scores.trained_on,
        split=scores.split,
        metric=scores.rows[row].metric,
        **{"class": scores.rows[row].label},
        method=names[first],
        other=names[second],
        statistic=rule.statistic,
        test=test,
        n=effects.n,
        difference=effects.difference,
        low=effects.low,
        high=effects.high,
        p=p,
        p_folds=np.nan if one.parts is None else corrected_p(one.parts, scores.unit_folds, pairs),
        leads=np.where(ahead > 0, names[first], np.where(ahead < 0, names[second], "")),
        agrees=agrees,
        false_claim=effects.false_claim,
        relevance="" if relevant is None else relevance(effects, sign, relevant),
        **_second_opinion(one, pairs, relevant),
        seed_noise=noise,
        within_seed_noise=np.abs(table["mean_difference"].to_numpy()) < noise,
    )


def _second_opinion(one: Tested, pairs: Pairs, relevant: float | None) -> dict[str, Floats]:
    """The Bayesian signed-rank test of every pair on a mean over classes; NaN where it was not asked."""
    names = ("bayes_worse", "bayes_equivalent", "bayes_better")
    found = np.full((3, len(pairs[0])), np.nan)
    if relevant is not None and one.scores.rows[one.row].label == MEAN_OF_CLASSES:
        units, _ = group_means(one.scores.values[one.row], one.scores.units)
        way = 1.0 if one.scores.larger[one.row] else -1.0
        for k, (first, second) in enumerate(zip(*pairs, strict=True)):
            found[:, k] = signed_rank_rope(way * (units[first] - units[second]), relevant, DRAWS)
    return dict(zip(names, found, strict=True))


def _described(values: Floats, scores: Scores, pairs: Pairs) -> pd.DataFrame:
    """The differences themselves, unit by unit: mean, median, wins, and Wilcoxon's signed-rank test of them."""
    units, _ = group_means(values, scores.units)
    first, second = pairs
    step = max(1, BLOCK // units.shape[1])
    parts = []
    for k in range(0, len(first), step):
        differences = settle(units[first[k : k + step]] - units[second[k : k + step]], scale=units)
        result = signed_rank(differences)
        known = ~np.isnan(differences)
        counts = known.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known, differences, 0.0).sum(axis=1) / counts
        parts.append(
            pd.DataFrame(
                {
                    "mean_difference": mean,
                    "median_difference": median_of_known(differences),
                    "wins": np.count_nonzero(differences > 0, axis=1),
                    "ties": np.count_nonzero(differences == 0, axis=1),
                    "losses": np.count_nonzero(differences < 0, axis=1),
                    "effect": result.effect,
                    "p_signed_rank": np.where(counts > 0, result.p, np.nan),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
