"""The bootstrap against resampling by hand, scipy's, and itself."""

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from segbench.compare.statistics import bootstrap
from segbench.compare.statistics.bootstrap import Tally, rank_certainty, resample, resampled_summaries
from segbench.compare.statistics.ranking import RULES, Options
from segbench.compare.statistics.retraining import Retraining
from segbench.compare.statistics.ties import place
from tests.compare.fake_scores import make_scores


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(3)
    shared = rng.normal(0.7, 0.1, (2, 1, 30))
    return make_scores(shared + rng.normal(0, 0.05, (2, 4, 30)) + np.array([0, 0.01, 0.03, 0.031])[:, None])


def whole(scores):
    return {"total": [np.ones(len(scores.rows), dtype=bool)]}


def certainty(scores, rule="mean", **options):
    return rank_certainty([scores], whole(scores), RULES[rule], Options(), **options)


def test_resampling_draws_whole_groups():
    groups = np.array([0, 0, 1, 2, 2, 2])
    weights = resample(groups, 500, np.random.default_rng(0))
    assert (weights[:, groups == 2].min(axis=1) == weights[:, groups == 2].max(axis=1)).all()
    drawn = weights[:, [0, 2, 3]]
    assert (drawn.sum(axis=1) == 3).all()
    assert drawn.mean(axis=0) == pytest.approx([1, 1, 1], abs=0.15)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_ranks_are_those_of_the_resampled_cases(scores, rule, monkeypatch):
    """Every number of the standing, from cases repeated by hand and ranked one resample after the other."""
    draws = 60
    result = certainty(scores, rule, draws=draws, seed=5)
    weights = resample(scores.drawn, draws, np.random.default_rng([5, 0])).astype(int)
    sums = []
    for weight in weights:
        repeated = np.repeat(scores.values, weight, axis=2)
        once = np.ones((1, repeated.shape[2]))
        sums.append(sum(RULES[rule].ranks(row, once, Options())[0] for row in repeated))
    sums = np.array(sums)
    standing = result.standings["total"]
    leads = sums == sums.min(axis=1, keepdims=True)
    assert standing.first == pytest.approx((leads / leads.sum(axis=1, keepdims=True)).mean(axis=0))
    places = place(sums, larger=False)
    for method, position in itertools.product(range(4), range(4)):
        assert standing.shares[method, position] == pytest.approx((places[:, method] == position + 1).mean())
        assert standing.ahead[method, position] == pytest.approx((sums[:, method] < sums[:, position]).mean())
    full = standing.rank_sums
    taus = [stats.kendalltau(row, full).statistic for row in sums]
    assert standing.tau == pytest.approx(np.nanquantile(taus, [0.5, 0.025, 0.975]))
    low = np.quantile(sums, 0.025, axis=0, method="inverted_cdf")
    np.testing.assert_array_equal(standing.low, low)


def test_resampled_scores_agree_with_scipy(scores):
    (drawn,) = resampled_summaries([scores], RULES["mean"], draws=20_000, seed=0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    for row, method in itertools.product(range(2), range(4)):
        sample = (scores.values[row, method],)
        theirs = stats.bootstrap(sample, np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
        assert (low[row, method], high[row, method]) == pytest.approx((theirs.low, theirs.high), abs=0.002)
    assert low.shape == (3, 4)  # the last row is the mean over the classes


def test_grouped_cases_widen_the_spread(scores):
    alike = make_scores(np.repeat(scores.values[:, :, :10], 3, axis=2))
    grouped = replace(alike, groups=np.repeat(np.arange(10), 3))
    (narrow,), (wide,) = (resampled_summaries([s], RULES["mean"], draws=4000, seed=0) for s in (alike, grouped))
    ratio = np.mean(wide.std(axis=0) / narrow.std(axis=0))
    assert ratio == pytest.approx(np.sqrt(3), rel=0.05)


def test_the_same_seed_gives_the_same_result(scores):
    one, other, third = (certainty(scores, draws=300, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.standings["total"].shares, other.standings["total"].shares)
    assert not np.array_equal(one.standings["total"].shares, third.standings["total"].shares)


def test_the_size_of_the_blocks_does_not_matter(scores, monkeypatch):
    whole_blocks = certainty(scores, draws=500).standings["total"]
    monkeypatch.setattr(bootstrap, "BLOCK", 1)
    small_blocks = certainty(scores, draws=500).standings["total"]
    np.testing.assert_allclose(whole_blocks.first, small_blocks.first, atol=0.12)
    np.testing.assert_array_equal(whole_blocks.rank_sums, small_blocks.rank_sums)


def test_equal_methods_share_the_first_place():
    standing = certainty(make_scores(np.full((1, 4, 12), 0.5)), draws=200).standings["total"]
    np.testing.assert_allclose(standing.first, 0.25)
    assert np.isnan(standing.tau).all()


def test_a_method_far_ahead_is_always_first():
    values = np.random.default_rng(0).normal(0.5, 0.01, (1, 3, 20))
    values[0, 1] += 0.3
    standing = certainty(make_scores(values), draws=200).standings["total"]
    assert standing.first.tolist() == [0, 1, 0]
    assert certainty(make_scores(values, larger=False), draws=200).standings["total"].first[1] == 0


def test_a_resample_without_a_case_of_a_method_puts_it_last():
    values = np.full((1, 2, 6), 0.5)
    values[0, 0] = [0.9, *[np.nan] * 5]
    standing = certainty(make_scores(values), draws=4000).standings["total"]
    assert standing.first[0] == pytest.approx(1 - (5 / 6) ** 6, abs=0.03)


def test_memory_does_not_grow_with_the_number_of_resamples(scores):
    def peak(draws):
        tracemalloc.start()
        certainty(scores, draws=draws)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(1000)
    assert peak(20_000) < peak(2_000) + 500_000


def test_tally_quantiles():
    values = np.random.default_rng(0).normal(size=(5000, 2))
    tally = Tally(np.array([-5.0, -5.0]), np.array([0.001, 0.001]), 10_001)
    for block in np.split(values, 5):
        tally.add(block)
    for share in (0.025, 0.5, 0.975):
        expected = np.quantile(values, share, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(tally.quantile(share), expected, atol=0.0006)
    assert np.isnan(Tally(np.zeros(1), np.ones(1), 3).quantile(0.5)[0])


def test_the_share_of_the_best_score_is_that_of_the_resampled_means(scores):
    result = certainty(scores, draws=400, metric="dice", seed=2)
    weights = resample(scores.drawn, 400, np.random.default_rng([2, 0]))
    means = (weights @ scores.values.transpose(0, 2, 1) / 30).mean(axis=0)
    assert result.best_score == pytest.approx(np.eye(4)[means.argmax(axis=1)].mean(axis=0))


def test_seeds_are_drawn_with_the_cases(scores):
    """The spread of a mean over resamples is that of cases and of seeds together."""
    rng = np.random.default_rng(0)
    shifts = rng.normal(0, 0.05, (3, 1, 4, 1))
    shifts -= shifts.mean(axis=0)
    seeds = scores.values + shifts
    several = replace(scores, seeds=seeds, values=seeds.mean(axis=0))
    again = Retraining(several, rng)
    means = [again.draw().values.mean(axis=2) - several.values.mean(axis=2) for _ in range(4000)]
    expected = shifts[:, 0, :, 0].std(axis=0, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(np.std(means, axis=0)[0], expected, rtol=0.05)
    assert Retraining(scores, rng).draw() is scores
    alone, together = (certainty(s, draws=2000).standings["total"] for s in (scores, several))
    np.testing.assert_array_equal(together.rank_sums, alone.rank_sums)
    assert together.first[:2].sum() > alone.first[:2].sum() + 0.01
