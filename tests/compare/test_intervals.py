"""Intervals: the share that they cover, the choice among them, and what is said where none covers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.interval_coverage import DISTRIBUTIONS, chosen, covered
from segbench.compare import intervals
from segbench.compare.statistics.interval_methods import bca, bootstrap_t, clopper_pearson, percentile, student
from segbench.compare.statistics.intervals import COVERED, blocked_coverage
from segbench.compare.statistics.scales import LOG, LOGIT, PLAIN, scale_of
from segbench.errors import UserError


def table(values, metric="dice", **columns):
    frame = pd.DataFrame({"method": "m", "case": range(len(values)), "value": values, "metric": metric})
    return frame.assign(**columns)


@pytest.mark.parametrize("size", [20, 60])
@pytest.mark.parametrize("name", [name for name in DISTRIBUTIONS if "fail" not in name and "1.0" not in name])
def test_nominal_95_per_cent_cover_92_to_97(name, size):
    draw, truth, scale = DISTRIBUTIONS[name]
    units = draw(np.random.default_rng(size), (1200, size))
    assert 92 <= covered(chosen(units, scale, 0.95), truth) <= 97


@pytest.mark.parametrize("size", [3, 6, 12, 20])
def test_what_covers_less_is_said(size):
    draw, truth, scale = DISTRIBUTIONS["Dice, 8 % of cases fail"]
    units = draw(np.random.default_rng(size), (1200, size))
    assert covered(chosen(units, scale, 0.95), truth) == pytest.approx(COVERED[scale.name][size], abs=4)
    line = intervals(table(units[0])).iloc[0]
    assert f"interval of {size} covers about {COVERED[scale.name][size]} %" in line["warning"]


def test_the_usual_intervals_agree_with_scipy():
    rng = np.random.default_rng(0)
    sample = rng.beta(8, 2, 25)
    low, high = student(sample[None], PLAIN, 0.95)
    assert (low[0], high[0]) == pytest.approx(stats.t.interval(0.95, 24, sample.mean(), stats.sem(sample)))
    for ours, name in ((percentile, "percentile"), (bca, "BCa")):
        theirs = stats.bootstrap((sample,), np.mean, n_resamples=20_000, method=name, rng=1).confidence_interval
        low, high = ours(sample[None], 0.95, 20_000, rng)
        assert (low[0], high[0]) == pytest.approx((theirs.low, theirs.high), abs=0.003)
    low, high = clopper_pearson(np.array([0.0, 7.0, 20.0]), 20, 0.95)
    for k, passed in enumerate((0, 7, 20)):
        theirs = stats.binomtest(passed, 20).proportion_ci(0.95, "exact")
        assert (low[k], high[k]) == pytest.approx((theirs.low, theirs.high))


def test_the_bootstrap_t_by_hand():
    rng = np.random.default_rng(3)
    sample = rng.lognormal(1, 1, 15)
    drawn = sample[rng.integers(0, 15, (40_000, 15))]
    ratio = (np.log(drawn.mean(axis=1)) - np.log(sample.mean())) / (
        drawn.std(axis=1, ddof=1) / np.sqrt(15) / drawn.mean(axis=1)
    )
    error = sample.std(ddof=1) / np.sqrt(15) / sample.mean()
    upper, lower = np.quantile(ratio, [0.975, 0.025])
    expected = np.exp(np.log(sample.mean()) - np.array([upper, lower]) * error)
    low, high = bootstrap_t(sample[None], LOG, 0.95, 40_000, rng)
    assert [low[0], high[0]] == pytest.approx(expected.tolist(), rel=0.03)


@pytest.mark.parametrize(
    ("values", "larger", "scale"),
    [([0.2, 1.0], True, LOGIT), ([0.2, 1.0], None, LOGIT), ([2.0, 30.0], False, LOG), ([2.0, 30.0], None, LOG)],
)
def test_the_scale_follows_from_the_range(values, larger, scale):
    assert scale_of(np.array(values), larger) is scale
    assert scale_of(-np.array(values), larger) is PLAIN


@pytest.mark.parametrize(
    ("values", "statistic", "method"),
    [
        (np.linspace(0.5, 0.9, 6), "mean", "logit t"),
        (np.linspace(0.5, 0.9, 30), "mean", "logit bootstrap-t"),
        (np.linspace(1, 20, 30), "mean", "log bootstrap-t"),
        (np.linspace(-1, 20, 30), "mean", "bootstrap-t"),
        (np.linspace(0.5, 0.9, 30), "median", "percentile"),
        (np.repeat([0.0, 1.0], [2, 18]), "mean", "Clopper-Pearson"),
    ],
)
def test_the_method_is_chosen_and_named(values, statistic, method):
    line = intervals(table(values), statistic).iloc[0]
    assert (line["interval"], line["units"]) == (method, len(values))
    assert line["low"] < line["value"] < line["high"]


def test_scores_at_the_end_of_their_range_stay_within_it():
    values = np.r_[np.full(9, 1.0), 0.97]
    line = intervals(table(values)).iloc[0]
    assert 0 <= line["low"] < line["high"] <= 1
    equal = intervals(table(np.full(8, 0.9))).iloc[0]
    assert np.isnan(equal["low"])
    assert equal["warning"] == "all scores are equal"


def test_one_case_has_no_interval_and_five_no_interval_of_the_median():
    assert np.isnan(intervals(table([0.5])).iloc[0]["low"])
    line = intervals(table(np.linspace(0.5, 0.9, 5)), "median").iloc[0]
    assert np.isnan(line["low"])
    assert line["warning"] == "an interval of a median needs 6 independent units"


def test_groups_are_the_units_and_too_few_are_said():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.uniform(0.6, 0.9, 10), 4)
    line = intervals(table(values, group=np.repeat(np.arange(10), 4))).iloc[0]
    alone = intervals(table(values[::4])).iloc[0]
    assert line["units"] == 10
    assert (line["low"], line["high"]) == pytest.approx((alone["low"], alone["high"]))
    few = intervals(table(values[:6], group=[0, 0, 0, 1, 1, 1])).iloc[0]
    assert few["units"] == 6
    assert (
        "6 cases in 2 groups: if those of a group correlate by 0.5, a nominal 95 % interval covers about 80 %"
        in (few["warning"])
    )


@pytest.mark.parametrize(("sizes", "alike"), [((3, 3), 0.5), ((6, 6), 0.3), ((4, 4, 4), 0.8)])
def test_the_coverage_of_correlated_cases_by_simulation(sizes, alike):
    rng = np.random.default_rng(0)
    groups, count = np.repeat(np.arange(len(sizes)), sizes), sum(sizes)
    shared, own = rng.normal(size=(4000, len(sizes)))[:, groups], rng.normal(size=(4000, count))
    ends = student(np.sqrt(alike) * shared + np.sqrt(1 - alike) * own, PLAIN, 0.95)
    assert blocked_coverage(count, sizes, 0.95, alike) == pytest.approx(covered(ends, 0.0) / 100, abs=0.03)


def test_an_unknown_statistic():
    with pytest.raises(UserError, match="statistic=mode: must be mean or median"):
        intervals(table([0.5, 0.6]), "mode")


def test_seeds_widen_an_interval_within_the_range_of_the_scores():
    rng = np.random.default_rng(0)
    runs = [(method, seed, case) for method in "ab" for seed in (0, 1) for case in range(4)]
    scores = pd.DataFrame(runs, columns=["method", "seed", "case"])
    found = intervals(scores.assign(value=np.clip(0.9 + 0.1 * scores["seed"] + rng.normal(0, 0.03, len(runs)), 0, 1)))
    assert found["interval"].str.endswith("with seeds").all()
    assert (found["low"] >= 0).all()
    assert (found["high"] <= 1).all()
    assert (found["high"] > 0.999).all()  # that of the sum would reach beyond
