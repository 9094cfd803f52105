"""Pairs of methods: against scipy pair by pair, and the meaning of every column."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from segbench.compare.statistics import pairs
from segbench.compare.statistics.pairs import pairwise_tests, seed_noise
from segbench.compare.statistics.significance import holm
from tests.compare.fake_scores import make_scores


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(1)
    return make_scores(rng.normal(0.7, 0.1, (2, 1, 40)) + rng.normal(0, 0.05, (2, 5, 40)) + np.arange(5)[:, None] / 60)


def test_pairs_agree_with_scipy(scores):
    table = pairwise_tests([scores])
    for row in range(2):
        lines = table[table["class"] == f"c{row}"].reset_index(drop=True)
        expected = []
        for k, (one, other) in enumerate(itertools.combinations(range(5), 2)):
            difference = scores.values[row, one] - scores.values[row, other]
            line = lines.iloc[k]
            assert (line["method"], line["other"], line["test"], line["n"]) == (
                f"m{one}",
                f"m{other}",
                "signed-rank",
                40,
            )
            expected.append(stats.wilcoxon(difference, method="exact").pvalue)
            assert line["p"] == pytest.approx(expected[-1])
            assert line["difference"] == pytest.approx(np.median(difference))
            assert line["mean_difference"] == pytest.approx(difference.mean())
            assert (line["wins"], line["ties"], line["losses"]) == ((difference > 0).sum(), 0, (difference < 0).sum())
        assert lines["p_holm"].tolist() == pytest.approx(holm(np.array(expected)).tolist())


def test_the_better_one_is_named(scores):
    assert set(pairwise_tests([scores])["better"]) <= {"", "m2", "m3", "m4"}
    smaller = pairwise_tests([replace(scores, larger=np.array([False, False]))])
    assert set(smaller["better"]) <= {"", "m0", "m1", "m2"}
    both = (pairwise_tests([scores])["wins"].tolist(), smaller["losses"].tolist())
    assert both[0] == both[1]


def test_methods_without_a_common_case_are_compared_by_rank_sums(scores):
    values = scores.values.copy()
    values[:, 0, :20] = np.nan
    values[:, 1, 20:] = np.nan
    table = pairwise_tests([replace(scores, values=values)])
    line = table.iloc[0]
    assert line["test"] == "rank-sum"
    expected = stats.mannwhitneyu(values[0, 0, 20:], values[0, 1, :20])
    assert line["p"] == pytest.approx(expected.pvalue)
    assert line["effect"] == pytest.approx(2 * expected.statistic / 400 - 1)
    assert set(table["test"]) == {"rank-sum", "signed-rank"}


def test_a_method_without_scores_is_not_tested(scores):
    values = scores.values.copy()
    values[:, 0] = np.nan
    table = pairwise_tests([replace(scores, values=values)])
    lines = table[table["method"] == "m0"]
    assert lines["p_holm"].isna().all()
    assert (lines["better"] == "").all()


def test_groups_are_what_is_counted(scores):
    grouped = replace(scores, groups=np.repeat(np.arange(8), 5))
    assert (pairwise_tests([grouped])["n"] == 8).all()


def test_the_size_of_the_blocks_does_not_matter(scores, monkeypatch):
    whole = pairwise_tests([scores])
    monkeypatch.setattr(pairs, "BLOCK", 100)
    assert whole.equals(pairwise_tests([scores]))


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
    table = pairwise_tests([replace(scores, repeats=repeats)])
    assert table["within_seed_noise"].all()
    assert not pairwise_tests([scores])["within_seed_noise"].any()
