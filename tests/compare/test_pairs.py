"""Pairs of methods: against scipy pair by pair, and the meaning of every column."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.compare.statistics.significance import holm
from segbench.compare.statistics.variance import seed_noise
from segbench.compare.statistics.verdict import judge
from tests.compare.fake_scores import make_scores


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(1)
    return make_scores(rng.normal(0.7, 0.1, (2, 1, 40)) + rng.normal(0, 0.05, (2, 5, 40)) + np.arange(5)[:, None] / 60)


def pairs_of(scores, ranking="mean", **settings):
    settings = {"bootstraps": 200} | settings
    return compare_scores([scores], Settings(("dice",), ranking=ranking, **settings)).pairs


def of_class(table, row):
    return table[table["class"] == f"c{row}"].reset_index(drop=True)


def test_means_are_compared_by_the_paired_t_test(scores):
    table = pairs_of(scores)
    for row in range(2):
        lines = of_class(table, row)
        for k, (one, other) in enumerate(itertools.combinations(range(5), 2)):
            x, y = scores.values[row, one], scores.values[row, other]
            line, expected = lines.iloc[k], stats.ttest_rel(x, y)
            assert (line["method"], line["other"], line["test"], line["n"]) == (f"m{one}", f"m{other}", "t", 40)
            assert line["p"] == pytest.approx(expected.pvalue)
            assert (line["low"], line["high"]) == pytest.approx(expected.confidence_interval())
            assert line["difference"] == pytest.approx((x - y).mean())
            assert line["median_difference"] == pytest.approx(np.median(x - y))
            assert (line["wins"], line["ties"], line["losses"]) == ((x > y).sum(), 0, (x < y).sum())
            assert line["p_signed_rank"] == pytest.approx(stats.wilcoxon(x, y, method="exact").pvalue)
        assert lines["p_holm"].tolist() == pytest.approx(holm(lines["p"].to_numpy()).tolist())


def test_few_cases_are_tested_by_all_ways_to_swap_the_methods():
    values = np.random.default_rng(4).normal(0.7, 0.1, (1, 3, 8))
    lines = pairs_of(make_scores(values))
    difference = values[0, 0] - values[0, 2]
    test = stats.permutation_test((difference,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert lines["p"][1] == pytest.approx(test.pvalue)
    assert set(lines["test"]) == {"swaps"}


def test_mean_ranks_are_compared_where_cases_are_ranked(scores):
    line = of_class(pairs_of(scores, "per_case"), 1).iloc[2]
    ranks = stats.rankdata(-scores.values[1], axis=0)
    assert line["difference"] == pytest.approx((ranks[0] - ranks[3]).mean())
    assert line["p"] == pytest.approx(stats.ttest_rel(ranks[0], ranks[3]).pvalue)
    assert (line["statistic"], line["leads"]) == ("mean rank", "m3")


def test_medians_are_compared_by_their_resamples(scores):
    line = of_class(pairs_of(scores, "median", bootstraps=4000), 0).iloc[3]
    x, y = scores.values[0, [0, 4]]
    assert line["difference"] == pytest.approx(np.median(x) - np.median(y))

    def gap(a, b, axis=-1):
        return np.median(a, axis=axis) - np.median(b, axis=axis)

    theirs = stats.bootstrap((x, y), gap, paired=True, vectorized=True, method="percentile", n_resamples=4000, rng=0)
    expected = theirs.confidence_interval
    assert (line["low"], line["high"]) == pytest.approx((expected.low, expected.high), abs=0.006)
    assert (line["p"] < 0.05) == (expected.high < 0)


def test_a_direction_of_the_test_that_is_not_that_of_the_score_is_no_claim():
    values = np.full((1, 2, 40), 0.9)
    values[0, 0, :38] -= np.linspace(0.001, 0.002, 38)  # m0 is a little worse in nearly all cases
    values[0, 1, 38:] = 0.0  # m1 fails in two
    for ranking in ("mean", "significance"):
        line = pairs_of(make_scores(values), ranking).iloc[0]
        assert (line["leads"], line["better"]) == ("m0", ""), ranking
    assert line["p"] < 0.001


def test_the_better_one_is_named(scores):
    assert set(pairs_of(scores)["better"]) <= {"", "m2", "m3", "m4"}
    smaller = pairs_of(replace(scores, larger=np.array([False, False])))
    larger = pairs_of(scores)
    claimed = larger["better"] != ""
    assert claimed.tolist() == (smaller["better"] != "").tolist()
    assert (larger["better"] != smaller["better"])[claimed].all()
    assert larger["wins"].tolist() == smaller["losses"].tolist()


def test_scores_of_different_cases_are_compared_by_what_each_contributes(scores):
    values = scores.values.copy()
    values[:, 0, :20] = np.nan
    values[:, 1, 20:] = np.nan
    line = pairs_of(replace(scores, values=values)).iloc[0]
    x, y = values[0, 0, 20:], values[0, 1, :20]
    assert line["difference"] == pytest.approx(x.mean() - y.mean())
    error = (line["high"] - line["low"]) / 2 / stats.t.ppf(0.975, 39)
    assert error == pytest.approx(np.sqrt(x.var(ddof=1) / 20 + y.var(ddof=1) / 20), rel=0.02)
    assert line["p"] == pytest.approx(stats.ttest_ind(x, y, equal_var=False).pvalue, rel=0.05)


def test_a_method_without_scores_is_not_tested(scores):
    values = scores.values.copy()
    values[:, 0] = np.nan
    lines = pairs_of(replace(scores, values=values))
    lines = lines[lines["method"] == "m0"]
    assert lines["p_holm"].isna().all()
    assert (lines["better"] == "").all()


def test_groups_are_what_is_counted(scores):
    lines = of_class(pairs_of(replace(scores, groups=np.repeat(np.arange(8), 5))), 0)
    assert (lines["n"] == 8).all()
    means = scores.values[0].reshape(5, 8, 5).mean(axis=2)
    interval = stats.ttest_rel(means[0], means[1]).confidence_interval()
    assert (lines["low"][0], lines["high"][0]) == pytest.approx(tuple(interval))


def test_metrics_that_are_asked_together_are_one_family(scores):
    rows = tuple(replace_metric(row, k) for k, row in enumerate(scores.rows))
    both = replace(scores, rows=rows)
    together = compare_scores([both], Settings(("dice", "iou"), bootstraps=100)).pairs
    lines = together[together["class"] == "a"]
    assert lines["p_holm"].tolist() == pytest.approx(holm(lines["p"].to_numpy()).tolist())
    assert len(lines) == 20


def replace_metric(row, number):
    return row._replace(metric=("dice", "iou")[number], label="a")


def test_the_comparisons_with_a_baseline_are_a_family_of_their_own(scores):
    lines = of_class(pairs_of(scores, baseline="m2"), 0)
    with_it = (lines["method"] == "m2") | (lines["other"] == "m2")
    assert lines["p_baseline"][with_it].tolist() == pytest.approx(holm(lines["p"][with_it].to_numpy()).tolist())
    assert lines["p_baseline"][~with_it].isna().all()


def test_the_probability_of_a_false_claim_is_that_of_the_paper(scores):
    line = of_class(pairs_of(scores), 0).iloc[3]
    x, y = scores.values[0, [0, 4]]
    spread = np.sqrt(x.var(ddof=1) + y.var(ddof=1) - 2 * x.std(ddof=1) * y.std(ddof=1) * np.corrcoef(x, y)[0, 1])
    assert line["false_claim"] == pytest.approx(stats.t.cdf(np.sqrt(40) * (x.mean() - y.mean()) / spread, 39))
    assert line["leads"] == "m4"


def test_folds_are_compared_by_the_corrected_test(scores):
    folds = np.repeat(np.arange(5), 8)
    line = of_class(pairs_of(replace(scores, folds=folds)), 0).iloc[3]
    gaps = (scores.values[0, 0] - scores.values[0, 4]).reshape(5, 8).mean(axis=1)
    ratio = gaps.mean() / (gaps.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4))
    assert line["p_folds"] == pytest.approx(2 * stats.t.sf(abs(ratio), 4))
    sentence = judge(compare_scores([replace(scores, folds=folds)], Settings(("dice",), bootstraps=100))).sentence
    assert "Over the 5 folds, whose training cases overlap, p = " in sentence


def test_relevance_is_that_of_two_one_sided_tests(scores):
    lines = of_class(pairs_of(scores, relevant=0.02), 0)
    for line, (one, other) in zip(lines.to_dict("records"), itertools.combinations(range(5), 2), strict=True):
        difference = scores.values[0, one] - scores.values[0, other]
        above = stats.ttest_1samp(difference, -0.02, alternative="greater").pvalue
        below = stats.ttest_1samp(difference, 0.02, alternative="less").pvalue
        assert (line["relevance"] == "equivalent") == (max(above, below) < 0.05)
        assert (line["relevance"] == "worse") == (line["high"] < -0.02 and line["better"] == line["other"])
    assert {"worse", "undecided"} <= set(lines["relevance"])


def test_seed_noise_is_the_least_significant_difference():
    repeats = np.array([[0.80, 0.82, 0.84], [0.70, 0.71, np.nan], [0.6, np.nan, np.nan]])
    pooled = (2 * np.var(repeats[0], ddof=1) + np.var(repeats[1, :2], ddof=1)) / 3
    limit = stats.t.ppf(0.975, 3) * np.sqrt(pooled)
    noise = seed_noise(repeats)
    assert noise[0, 1] == pytest.approx(limit * np.sqrt(1 / 3 + 1 / 2))
    assert noise[0, 2] == pytest.approx(limit * np.sqrt(1 / 3 + 1))
    assert np.isnan(seed_noise(repeats[:, :1])).all()


def test_seed_noise_is_exceeded_by_chance_as_often_as_it_says():
    rng = np.random.default_rng(0)
    repeats = rng.normal(0, 1, (4000, 2, 3))
    exceeded = [abs(r[0].mean() - r[1].mean()) > seed_noise(r)[0, 1] for r in repeats]
    assert np.mean(exceeded) == pytest.approx(0.05, abs=0.012)


def test_a_gap_within_the_seed_noise_is_marked(scores):
    repeats = scores.values.mean(axis=2)[:, :, None] + np.array([-0.1, 0.1])
    table = pairs_of(replace(scores, repeats=repeats))
    assert table["within_seed_noise"].all()
    assert (table["better"] == "").all()
    assert not pairs_of(scores)["within_seed_noise"].any()


def test_the_spread_of_seeds_adds_to_that_of_cases(scores):
    rng = np.random.default_rng(3)
    repeats = scores.values.mean(axis=2)[:, :, None] + rng.normal(0, 0.01, (2, 5, 3))
    line, alone = (of_class(pairs_of(s), 0).iloc[0] for s in (replace(scores, repeats=repeats), scores))
    pooled = repeats[0].var(axis=1, ddof=1).mean()
    of_cases = (scores.values[0, 0] - scores.values[0, 1]).var(ddof=1) / 40
    of_seeds = 2 * pooled / 3
    freedom = (of_cases + of_seeds) ** 2 / (of_cases**2 / 39 + of_seeds**2 / 10)
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(of_cases + of_seeds)
    assert (line["high"] - line["low"]) / 2 == pytest.approx(reach)
    assert line["p"] > alone["p"]
