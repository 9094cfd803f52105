"""Tests of significance against scipy, autorank, scikit-posthocs, R's documented values and brute force."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from segbench.compare.statistics.friedman import (
    cliques,
    friedman,
    friedman_of_ranks,
    nemenyi_quantile,
    range_tail,
    rank_cliques,
)
from segbench.compare.statistics.significance import (
    group_means,
    holm,
    median_of_known,
    pairs_needed,
    resampled_signed_rank,
    signed_rank,
    smallest_p,
)

DEMSAR = np.array(
    [
        [4, 3, 2, 1],
        [1, 2, 3, 4],
        [4, 1, 2, 3],
        [4, 1, 3, 2],
        [4, 2, 3, 1],
        [1, 2.5, 4, 2.5],
        [3, 2, 4, 1],
        [2.5, 2.5, 4, 1],
        [4, 3, 2, 1],
        [2.5, 2.5, 2.5, 2.5],
        [4, 2.5, 1, 2.5],
        [3, 2, 4, 1],
        [4, 1, 2, 3],
        [3, 1, 4, 2],
    ]
)


@pytest.fixture(scope="module")
def six_methods():
    """(6, 50), as autorank's documentation draws them."""
    rng = np.random.RandomState(42)
    return np.stack([np.clip(rng.normal(mean, 0.3, 50), 0, 1) for mean in (0.2, 0.3, 0.5, 0.8, 0.85, 0.9)])


def test_friedman_of_demsar():
    result = friedman_of_ranks(DEMSAR)
    assert result.mean_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert result.chi2 == pytest.approx(9.28, abs=5e-3)
    assert result.p_chi2 == pytest.approx(0.0258, abs=5e-5)
    assert result.f == pytest.approx(3.69, abs=5e-3)
    assert result.p_f == pytest.approx(0.0198, abs=1e-4)
    assert result.critical_difference == pytest.approx(1.25, abs=5e-3)


def test_nemenyi_quantiles_of_demsar():
    expected = [1.960, 2.344, 2.569, 2.728, 2.850, 2.948, 3.031, 3.102, 3.164]
    assert [nemenyi_quantile(k) for k in range(2, 11)] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("methods", [2, 3, 10, 50])
def test_range_tail_agrees_with_scipy(methods):
    q = np.array([0.0, 0.3, 1.0, 2.5, 4.0, 6.0])
    np.testing.assert_allclose(
        range_tail(q, methods), stats.studentized_range.sf(q, methods, np.inf), rtol=1e-6, atol=1e-9
    )


def test_friedman_of_six_methods(six_methods):
    result = friedman(six_methods, larger=True)
    assert result.mean_ranks == pytest.approx([5.40, 4.71, 3.95, 2.47, 2.29, 2.18], abs=1e-9)
    assert result.p == pytest.approx(2.3412212612346733e-28, rel=1e-9)
    assert result.critical_difference == pytest.approx(1.0662, abs=1e-4)


def test_friedman_agrees_with_scipy_autorank_and_posthocs(six_methods):
    autorank = pytest.importorskip("autorank")
    posthocs = pytest.importorskip("scikit_posthocs")
    result = friedman(six_methods, larger=True)
    assert result.p == pytest.approx(stats.friedmanchisquare(*six_methods).pvalue)
    theirs = autorank.autorank(pd.DataFrame(six_methods.T), force_mode="nonparametric", verbose=False)
    assert result.critical_difference == pytest.approx(theirs.cd, rel=1e-4)
    ranks = theirs.rankdf["meanrank"].sort_index().to_numpy()
    assert result.mean_ranks == pytest.approx(ranks)
    pairs = posthocs.posthoc_nemenyi_friedman(six_methods.T).to_numpy()
    np.testing.assert_allclose(result.p_pairs, pairs, atol=1e-8)


def test_friedman_needs_two_cases():
    with pytest.raises(ValueError, match="two cases"):
        friedman(np.array([[0.1], [0.2]]), larger=True)


@pytest.mark.parametrize(
    ("alike", "expected"),
    [
        (["1000", "0100", "0011", "0001"], [[2, 3]]),
        (["1111", "0100", "0011", "0001"], [[0, 1, 2, 3]]),
        (["1000", "0100", "0010", "0001"], []),
        (["1100", "0110", "0011", "0001"], [[0, 1], [1, 2], [2, 3]]),
    ],
)
def test_cliques(alike, expected):
    assert cliques(np.array([[int(c) for c in row] for row in alike])) == expected


def test_rank_cliques_of_demsar():
    ranks = np.sort(DEMSAR.mean(axis=0))
    assert rank_cliques(ranks, 1.25) == [[0, 1, 2, 3]]
    assert rank_cliques(ranks, 1.15) == [[0, 1, 2], [1, 2, 3]]


def test_rank_cliques_agree_with_posthocs(six_methods):
    posthocs = pytest.importorskip("scikit_posthocs")
    result = friedman(six_methods, larger=True)
    order = np.argsort(result.mean_ranks)
    ours = [[order[i] for i in group] for group in rank_cliques(result.mean_ranks[order], result.critical_difference)]
    alike = posthocs.sign_array(posthocs.posthoc_nemenyi_friedman(six_methods.T), alpha=0.05) == 0
    for group in ours:
        assert all(alike[i, j] for i, j in itertools.combinations(group, 2))


@settings(deadline=None, max_examples=60)
@given(arrays.arrays(float, (2, 12), elements=st.integers(-6, 6).map(lambda x: x / 4)))
def test_signed_rank_with_ties_and_zeros_agrees_with_scipy(differences):
    result = signed_rank(differences)
    for k, sample in enumerate(differences):
        if not sample.any():
            assert (result.p[k], result.effect[k]) == (1.0, 0.0)
            continue
        ties = len(np.unique(np.abs(sample))) < 12 or (sample == 0).any()
        how = {"method": "asymptotic", "correction": True} if ties else {"method": "exact"}
        for alternative, ours in (("greater", result.greater[k]), ("less", result.less[k])):
            expected = stats.wilcoxon(sample, alternative=alternative, **how).pvalue
            assert ours == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 13, 49, 50, 400])
def test_signed_rank_without_ties_agrees_with_scipy(n):
    sample = np.random.default_rng(n).normal(0.2, 1.0, (1, n))
    method = {"method": "exact"} if n < 50 else {"method": "asymptotic", "correction": True}
    result = signed_rank(sample)
    for alternative, ours in (("two-sided", result.p), ("greater", result.greater), ("less", result.less)):
        assert ours[0] == pytest.approx(stats.wilcoxon(sample[0], alternative=alternative, **method).pvalue)
    ranks = stats.rankdata(np.abs(sample[0]))
    assert result.effect[0] == pytest.approx((ranks * np.sign(sample[0])).sum() / ranks.sum())


def test_signed_rank_agrees_with_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs")
    scores = np.random.default_rng(1).normal([[0.5], [0.55], [0.7]], 0.2, (3, 80))
    expected = posthocs.posthoc_wilcoxon(list(scores), correction=True, p_adjust="holm").to_numpy()
    pairs = list(itertools.combinations(range(3), 2))
    adjusted = holm(signed_rank(np.stack([scores[i] - scores[j] for i, j in pairs])).p)
    assert adjusted == pytest.approx([expected[i, j] for i, j in pairs])


@settings(deadline=None)
@given(
    arrays.arrays(float, 9, elements=st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.5, 2.0, np.nan])),
    arrays.arrays(int, (6, 9), elements=st.integers(0, 3)),
)
def test_resampled_signed_rank_is_that_of_repeated_pairs(differences, weights):
    greater, less = resampled_signed_rank(differences, weights.T.astype(np.int32))
    for k, resample in enumerate(weights):
        repeated = signed_rank(np.repeat(differences, resample)[None])
        assert (greater[k], less[k]) == pytest.approx((repeated.greater[0], repeated.less[0]))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p):
    adjusted = holm(np.array(p))
    order = np.argsort(p, kind="stable")
    for k, index in enumerate(order):
        expected = max(min(1.0, (len(p) - j) * p[order[j]]) for j in range(k + 1))
        assert adjusted[index] == pytest.approx(expected)


def test_holm_of_its_textbook_example():
    assert holm(np.array([0.01, 0.04, np.nan, 0.03])) == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)


def test_median_of_known():
    values = np.random.default_rng(0).normal(size=(6, 9))
    values[values > 1] = np.nan
    np.testing.assert_allclose(median_of_known(values), np.nanmedian(values, axis=1))
    assert np.isnan(median_of_known(np.full((1, 3), np.nan))[0])


def test_group_means():
    scores = np.array([[1.0, 3.0, 5.0, np.nan]])
    means, first = group_means(scores, np.array([7, 7, 2, 9]))
    np.testing.assert_allclose(means, [[5.0, 2.0, np.nan]])
    assert first.tolist() == [2, 0, 3]


@pytest.mark.parametrize("n", [3, 4, 5, 6, 9])
def test_the_smallest_p(n):
    tails = 2 * stats.wilcoxon(np.arange(1.0, n + 1), alternative="greater", method="exact").pvalue
    assert smallest_p(n) == pytest.approx(tails)
    tied = signed_rank(np.ones((1, n)))
    assert tied.p[0] >= smallest_p(n)
    for tests in (1, 3, 10):
        needed = pairs_needed(0.05, tests)
        assert tests * smallest_p(needed) < 0.05 <= tests * smallest_p(needed - 1)
