"""Explanations for the report's reader of how each number was computed."""

from __future__ import annotations

from collections.abc import Iterator

from segbench.compare.report.efficiency import PRICE
from segbench.compare.report.tables import metric_name
from segbench.compare.statistics.comparison import Settings
from segbench.compare.statistics.effects import FLIPPED
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
        f"{per_cent} intervals, chosen by statistic, number of independent units and range of the metric; scores.csv"
        " names each: of means Student's t of fewer than ten units, else the bootstrap-t, on the logit of scores"
        " within 0 and 1 and the logarithm of distances; Clopper and Pearson of pass rates; percentile bootstrap of"
        " medians. Units are cases, or groups (patients) where five or more are known. Where methods were trained"
        " with several seeds, the spread between seeds is part of the interval. docs/statistics.md shows what each"
        " covers in simulations; where that may be far less than stated, scores.csv says so.",
    )
    yield (
        "Resamples",
        f"{settings.bootstraps:,} paired resamples: units are drawn with replacement, the same for every method, and"
        " seeds where there are several, for each method by itself; then everything is ranked again. Two shares come"
        " of them: of the smallest rank sum, and of the best score (equals share). Kendall's tau compares each"
        " resample's order with the order shown.",
    )
    few = f"all ways to swap the two methods in some of up to {FLIPPED} units, Student's paired t test of more"
    tests = {
        "mean": few,
        "mean rank": f"{few}, of the ranks in each case",
        "median": "the paired bootstrap of the difference of medians",
    }
    test = "Wilcoxon's signed-rank test" if settings.rule.test else tests[settings.rule.statistic]
    yield (
        "Tests",
        f"Two methods are compared by what they are ranked by, the {settings.rule.statistic}: {test}; two-sided, at"
        f" {level}. Adjusted by Holm over all pairs of a row and all metrics that are ranked together. Methods that"
        " lack scores of different cases are compared by what each unit contributes to their means. The smallest p"
        " that n units can have is 2 / 2^n, where all differences have one sign: 0.25 of 3, 0.125 of 4, 0.0625 of 5,"
        f" 0.031 of 6. With fewer than {pairs_needed(settings.level)} units two methods cannot be told apart at"
        f" {level}, however they differ; three methods take {pairs_needed(settings.level, 3)}, five take"
        f" {pairs_needed(settings.level, 10)}.",
    )
    yield (
        "Signed ranks",
        "Wilcoxon's signed-rank test of the paired differences stands beside each test in pairwise.csv"
        " (p_signed_rank), as a second opinion; exact below 50 pairs without ties, else normal with tie and"
        " continuity correction.",
    )
    yield (
        "Effect",
        f"Difference in the {settings.rule.statistic} with its {per_cent} interval; wins, ties and losses by unit;"
        " and the rank-biserial correlation, from -1 to 1.",
    )
    yield (
        "False claims",
        "The probability that the method that is ahead in a pair is not the better one: Student's t with n - 1"
        " degrees of freedom of the paired differences (Christodoulou et al. 2025, arXiv 2505.04720). It is of one"
        " pair, not of the best of many.",
    )
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
        "A method is called better only if it has the smallest rank sum, leads in what methods are ranked by, on the"
        " mean over classes, significantly against every other method, and each gap exceeds the seed noise. With one"
        " seed of each, this is said of these trained networks on new cases; only with several of methods.",
    )
