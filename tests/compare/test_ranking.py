"""Ranking rules against published numbers, challengeR's documented cases and other libraries."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from segbench.compare.statistics.ranking import (
    CUTS,
    RULES,
    Options,
    by_mean,
    by_median,
    by_significance,
    by_tiers,
    per_case,
    significant_wins,
    weighted_mean,
    weighted_median,
)
from segbench.compare.statistics.ties import place, settle

REFERENCE = Path(__file__).parent / "reference"
PRINTED_CUTS = (0.0, 0.0245, 0.05, 0.10, 0.15)

TIERS = {
    "lumen": [3, 5, 4, 4, 3, 3, 2, 4, 3, 1],
    "stroma": [5, 3, 3, 5, 2, 2, 2, 1, 3, 2],
    "benign (prostate)": [6, 6, 4, 4, 4, 3, 2, 2, 2, 1],
    "tumour": [6, 5, 6, 6, 4, 4, 2, 1, 4, 3],
    "normal": [6, 6, 5, 5, 6, 1, 3, 6, 6, 6],
    "benign (breast)": [4, 3, 2, 4, 6, 6, 5, 1, 6, 5],
    "in situ": [6, 6, 6, 5, 1, 2, 4, 6, 6, 6],
    "invasive": [6, 6, 6, 4, 3, 4, 2, 5, 6, 1],
}


def ranks(rule, scores, **options):
    scores = np.asarray(scores, dtype=float)
    return rule(scores, np.ones((1, scores.shape[1])), Options(**options))[0]


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(REFERENCE / "architecture_table.csv")


@pytest.fixture(scope="module")
def printed():
    return pd.read_csv(REFERENCE / "architecture_table_printed_ranks.csv", index_col="row")


def rank_sums(table, rule, **options):
    per_class = np.stack([ranks(rule, row[:, None], **options) for row in table.iloc[:, 2:].to_numpy(float)])
    return {name: per_class[table.dataset == name].sum(axis=0) for name in ("prostate", "breast")}


def test_tiers_of_the_published_table(table):
    for values, expected in zip(table.iloc[:, 2:].to_numpy(float), TIERS.values(), strict=True):
        assert ranks(by_tiers, values[:, None], cuts=CUTS).tolist() == expected


def test_rank_sums_of_the_published_table_differ_in_one_cell_at_round_cuts(table, printed):
    sums = rank_sums(table, by_tiers)
    assert sums["prostate"].tolist() == [20, 19, 17, 19, 13, 12, 8, 8, 12, 7]
    assert sums["breast"].tolist() == [22, 21, 19, 18, 16, 13, 14, 18, 24, 18]
    differing = [
        (name, method, got, want)
        for name in sums
        for method, got, want in zip(printed.columns, sums[name], printed.loc[f"rank_sum_{name}"], strict=True)
        if got != want
    ]
    assert differing == [("prostate", "F", 12, 13)]


def test_rank_sums_of_the_published_table_are_all_met_with_the_second_cut_at_2_45_per_cent(table, printed):
    sums = rank_sums(table, by_tiers, cuts=PRINTED_CUTS)
    for name, values in sums.items():
        assert values.tolist() == printed.loc[f"rank_sum_{name}"].tolist()
    assert sum(sums.values()).tolist() == printed.loc["rank_sum_total"].tolist()


def test_plain_rank_sums_of_the_published_table(table):
    sums = rank_sums(table, by_mean)
    assert sums["prostate"].tolist() == [34, 33, 33, 33, 17, 19, 8, 14, 21, 8]
    assert sums["breast"].tolist() == [27, 23, 19, 18, 17, 16, 14, 26, 37, 23]


def test_tiers_where_smaller_is_better_and_at_a_best_of_zero():
    assert ranks(by_tiers, [[10.0], [10.2], [10.4], [12.0]], larger=False).tolist() == [1, 2, 3, 6]
    assert ranks(by_tiers, [[0.0], [0.0], [0.1]], larger=False).tolist() == [1, 1, 6]
    assert ranks(by_tiers, [[0.0], [0.0]]).tolist() == [1, 1]


@pytest.mark.parametrize("rule", ["mean", "median", "per_case"])
def test_two_methods(rule):
    assert ranks(RULES[rule].ranks, [[0.6], [0.8]], larger=False).tolist() == [1, 2]
    assert ranks(RULES[rule].ranks, [[0.6], [0.8]], larger=True).tolist() == [2, 1]


@pytest.mark.parametrize("rule", ["mean", "median", "per_case"])
@pytest.mark.parametrize(("ties", "expected"), [("min", 1), ("max", 2), ("average", 1.5), ("dense", 1)])
def test_two_equal_methods(rule, ties, expected):
    assert ranks(RULES[rule].ranks, [[0.6], [0.6]], ties=ties).tolist() == [expected, expected]


def test_two_methods_on_two_cases():
    scores = np.array([[0.6, 0.4], [0.8, 1.0]])
    assert weighted_mean(scores, np.ones((1, 2)))[0] == pytest.approx([0.5, 0.9])
    assert ranks(by_mean, scores, larger=False).tolist() == [1, 2]
    assert place(scores.T, larger=False).mean(axis=0).tolist() == [1, 2]
    assert ranks(per_case, scores, larger=False).tolist() == [1, 2]


def test_a_method_without_a_score():
    missing = np.array([[np.nan], [0.8]])
    worst = np.array([[0.0], [0.8]])
    assert ranks(per_case, worst).tolist() == [2, 1]
    assert ranks(by_mean, worst).tolist() == [2, 1]
    assert np.isnan(ranks(by_mean, missing)[0])
    assert ranks(by_mean, missing)[1] == 1


BETTER, WORSE = [0.2] * 4, [1.0] * 4


@pytest.mark.parametrize(
    ("scores", "ties", "shares", "expected"),
    [
        ([BETTER, WORSE], "min", [1, 0], [1, 2]),
        ([[100, 0.2, 0.2, 0.2], WORSE], "min", [0, 0], [1, 1]),
        ([[np.nan, 0.2, 0.2, 0.2], WORSE], "min", [0, 0], [1, 1]),
        ([[0, 0.2, 0.2, 0.2], WORSE], "min", [1, 0], [1, 2]),
        ([[0.6] * 2, [0.8] * 2], "min", [0, 0], [1, 1]),
        ([[0.6] * 2, [0.8] * 2], "max", [0, 0], [2, 2]),
        ([[0.6], [0.8]], "min", [0, 0], [1, 1]),
    ],
    ids=[
        "four cases",
        "missing as 100",
        "missing dropped",
        "missing as 0",
        "two cases",
        "ties max",
        "one case",
    ],
)
def test_significance_ranking(scores, ties, shares, expected):
    scores = np.array(scores, dtype=float)
    options = Options(larger=False, ties=ties)
    assert significant_wins(scores, np.ones((1, scores.shape[1])), options)[0].tolist() == shares
    assert ranks(by_significance, scores, larger=False, ties=ties).tolist() == expected


def test_significance_counts_groups_not_cases():
    scores = np.repeat([BETTER, WORSE], 5, axis=1)
    one_group = np.zeros(20, dtype=int)
    assert ranks(by_significance, scores, larger=False).tolist() == [1, 2]
    assert ranks(by_significance, scores, larger=False, groups=one_group).tolist() == [1, 1]


def test_significance_of_many_equal_differences_does_not_overflow():
    scores = np.repeat([[0.2], [0.3]], 1500, axis=1)
    twice = significant_wins(scores, np.full((2, 1500), 2.0), Options())
    assert twice.tolist() == [[0, 1], [0, 1]]


def test_mean_of_metric_ranks():
    four = np.array([[1, 1, 2, 7], [4, 3, 4, 2], [2, 2, 3, 6], [3, 4, 5, 5]], dtype=float)
    assert four.mean(axis=1).tolist() == [2.75, 3.25, 3.25, 4.25]
    assert ranks(by_mean, four, larger=False).tolist() == [1, 2, 2, 4]
    assert np.array([[1, 2], [3, 1], [2, 3]]).mean(axis=1).tolist() == [1.5, 2, 2.5]


def test_float_noise_breaks_no_tie():
    scores = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.1, 0.3]])
    assert len(set(scores.mean(axis=1))) > 1
    assert ranks(by_mean, scores).tolist() == [1, 1, 1]
    assert settle(np.array([1e6 + 1e-8]))[0] == 1e6


@settings(deadline=None)
@given(
    arrays.arrays(float, (3, 7), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    st.sampled_from(["min", "max", "average", "dense"]),
    st.booleans(),
)
def test_place_agrees_with_scipy(values, ties, larger):
    expected = stats.rankdata(-values if larger else values, axis=1, method=ties)
    np.testing.assert_array_equal(place(values, larger, ties), expected)


@settings(deadline=None)
@given(
    arrays.arrays(float, (3, 8), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan])),
    arrays.arrays(int, (5, 8), elements=st.integers(0, 3)),
)
def test_weighted_summaries_are_those_of_repeated_cases(scores, weights):
    means, medians = (f(scores, weights.astype(float)) for f in (weighted_mean, weighted_median))
    for resample, mean_row, median_row in zip(weights, means, medians, strict=True):
        for values, mean, median in zip(scores, mean_row, median_row, strict=True):
            repeated = np.repeat(values, resample)
            repeated = repeated[~np.isnan(repeated)]
            expected = (repeated.mean(), np.median(repeated)) if len(repeated) else (np.nan, np.nan)
            np.testing.assert_allclose((mean, median), expected)


def test_weighted_median_of_many_cases():
    rng = np.random.default_rng(0)
    scores = rng.random((3, 400))
    weights = rng.multinomial(400, np.full(400, 1 / 400), size=50).astype(float)
    expected = [[np.median(np.repeat(s, w.astype(int))) for s in scores] for w in weights]
    np.testing.assert_allclose(weighted_median(scores, weights), expected)


@settings(deadline=None)
@given(
    arrays.arrays(float, (4, 6), elements=st.sampled_from([0.0, 0.2, 0.4, 0.9])),
    st.sampled_from(sorted(RULES)),
)
def test_rules_ignore_the_order_of_methods_and_mirror_the_direction(scores, rule):
    shuffled = [2, 0, 3, 1]
    straight = ranks(RULES[rule].ranks, scores)
    np.testing.assert_array_equal(ranks(RULES[rule].ranks, scores[shuffled]), straight[shuffled])
    if rule != "tiers":  # relative to the best, which mirroring moves
        np.testing.assert_array_equal(ranks(RULES[rule].ranks, -scores, larger=False), straight)


def test_median_ranks_differ_from_mean_ranks_where_one_case_fails():
    scores = np.array([[0.9, 0.9, 0.0], [0.7, 0.7, 0.7]])
    assert ranks(by_median, scores).tolist() == [1, 2]
    assert ranks(by_mean, scores).tolist() == [2, 1]
