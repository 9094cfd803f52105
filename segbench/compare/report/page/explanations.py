"""Explanations for the report's reader of how each number was computed."""

from __future__ import annotations

from collections.abc import Iterator

from segbench.compare.report.efficiency import PRICE
from segbench.compare.report.tables import metric_name
from segbench.compare.statistics.comparison import Settings
from segbench.compare.statistics.significance import pairs_needed


def explain(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each explained term and its explanation."""
    per_cent = f"{100 * settings.confidence:g} %"
    level = f"{settings.level:.2g}"
    metrics = ", ".join(map(metric_name, settings.metrics))
    yield (
        "Scores",
        "Of each test case and class, averaged over the seeds of a method; a case is tested in one fold. A class that"
        " reference and prediction both lack has no score in that case and is counted as absent.",
    )
    yield (
        "Rank",
        f"Rule '{settings.ranking}': {settings.rule.meaning} Equal results share a rank ({settings.ties}). Means are"
        " rounded to 12 digits first, so that floating-point noise breaks no tie.",
    )
    if settings.ranking == "tiers":
        cuts = ", ".join(f"{100 * cut:g}" for cut in settings.cuts)
        yield (
            "Tiers",
            f"Shortfall 1 - s / max(s) from the best method of a class, cut at {cuts} %. Inferred from the printed rank"
            " sums of a published table, whose paper does not state the rule.",
        )
    yield (
        "Rank sum",
        f"Sum of the ranks over the classes of a data set ({metrics}); total: sum over the data sets seen in training."
        " Smaller is better.",
    )
    yield (
        "Intervals",
        f"{per_cent} percentile intervals of {settings.bootstraps:,} paired resamples: test cases are drawn with"
        " replacement, whole groups (patients) where groups are known, the same for every method, then everything is"
        " ranked again. 'First in' is the share of resamples in which a method has the smallest rank sum; equals share"
        " it. Kendall's tau compares each resample's order with the order shown.",
    )
    yield (
        "Tests",
        f"Wilcoxon's signed-rank test of paired scores, two-sided, at {level}; exact below 50 pairs without ties, else"
        " normal with tie and continuity correction. Where groups are known their means are tested, as cases of one"
        " group are not independent. Adjusted by Holm over all pairs of a row. Methods without a common case are"
        " compared by the rank-sum test. The smallest p that n pairs can have is 2 / 2^n, where all differences have"
        " one sign: 0.25 of 3, 0.125 of 4, 0.0625 of 5, 0.031 of 6. With fewer than"
        f" {pairs_needed(settings.level)} pairs two methods cannot be told apart at {level}, however they differ; three"
        f" methods take {pairs_needed(settings.level, 3)} pairs, five take {pairs_needed(settings.level, 10)}.",
    )
    yield "Effect", "Median paired difference with the interval of the sign test, and wins, ties and losses by case."
    yield (
        "Seed noise",
        "The gap between two methods that a change of seeds alone exceeds in"
        f" {100 * settings.level:.2g} % of pairs: Fisher's least significant difference with the"
        " variance between seeds pooled over the methods. A smaller gap is marked, however significant it is over the"
        " cases.",
    )
    yield (
        "Mean ranks",
        "Friedman's test with Nemenyi's critical difference (Demsar 2006) on the mean over the classes of each case.",
    )
    yield (
        "Efficiency",
        f"Adjusted score: s (1 - {PRICE} log10(cost / smallest cost)) where larger is better: a tenfold cost has to buy"
        f" {100 * PRICE:g} % of score. The price is a convention. Pareto: no other method is as good at no higher"
        " cost.",
    )
    yield (
        "Verdict",
        "A method is called better only if it has the smallest rank sum, its mean over classes is significantly better"
        " than that of every other method, and each gap exceeds the seed noise.",
    )
