"""Scores within subgroups of the cases, and tests between them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kruskal, mannwhitneyu

from segbench.compare.reading.subgroups import read_subgroups
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.compare.statistics.subgroups import subgroup_notes, subgroup_scores, subgroup_tests
from segbench.errors import UserError
from tests.compare.fake_scores import make_scores

CASES = 24


@pytest.fixture(scope="module")
def scores():
    """Two classes, three methods; the second half of the cases is worse for the first method alone."""
    random = np.random.default_rng(0)
    values = 0.8 + 0.02 * random.standard_normal((2, 3, CASES)) + np.array([0.06, 0.03, 0.0])[:, None]
    values[:, 0, CASES // 2 :] -= 0.2
    return make_scores(values)


@pytest.fixture(scope="module")
def comparison(scores):
    return compare_scores([scores], Settings(("dice",), bootstraps=200))


def table(tmp_path, lines, head="case,site"):
    (tmp_path / "meta.csv").write_text("\n".join([head, *lines]) + "\n")
    return f"{tmp_path / 'meta.csv'}:{head.split(',')[-1]}"


def halves(tmp_path, scores):
    return read_subgroups([table(tmp_path, [f"{k},{'AB'[k >= CASES // 2]}" for k in range(CASES)])], [scores])


def test_scores_are_means_of_the_cases_of_each_subgroup(tmp_path, scores, comparison):
    (division,) = halves(tmp_path, scores)
    assert (division.names, division.column) == (("A", "B"), "site")
    frame = subgroup_scores(comparison, [division])
    for name, part in (("A", slice(0, 12)), ("B", slice(12, 24))):
        here = frame[(frame["subgroup"] == name) & (frame["class"] == "c1")].set_index("method")
        np.testing.assert_allclose(here["score"], scores.values[1, :, part].mean(axis=1))
        assert (here["cases"] == 12).all()
        assert ((here["low"] < here["score"]) & (here["score"] < here["high"])).all()
    means = frame[frame["class"] == "mean of classes"].set_index(["subgroup", "method"])
    assert [means.loc[("A", m), "rank"] for m in scores.methods] == [1, 2, 3]
    assert [means.loc[("B", m), "rank"] for m in scores.methods] == [3, 1, 2]


def test_differences_between_subgroups_are_tested_as_scipy_does(tmp_path, scores, comparison):
    (two,) = halves(tmp_path, scores)
    tests = subgroup_tests(comparison, [two]).set_index(["method", "other"])
    values = scores.values.mean(axis=0)
    for m, name in enumerate(scores.methods):
        assert tests.loc[(name, ""), "p"] == pytest.approx(mannwhitneyu(values[m, :12], values[m, 12:]).pvalue)
    difference = values[0] - values[2]
    assert tests.loc[("m0", "m2"), "p"] == pytest.approx(mannwhitneyu(difference[:12], difference[12:]).pvalue)
    assert tests.loc[("m0", ""), "p_holm"] == pytest.approx(min(1, 3 * tests.loc[("m0", ""), "p"]))
    thirds = replace(two, names=("a", "b", "c"), members=np.arange(CASES) % 3)
    three = subgroup_tests(comparison, [thirds]).set_index(["method", "other"])
    assert three.loc[("m1", ""), "p"] == pytest.approx(kruskal(*(values[1, k::3] for k in range(3))).pvalue)
    notes = subgroup_notes(tests.reset_index(), 0.05)
    assert notes[0] == "d: the dice of 'm0' differs between subgroups of site"
    assert "'m0 and m1', 'm0 and m2'" in notes[1]


def test_groups_are_what_is_tested(tmp_path, scores):
    grouped = replace(scores, groups=np.arange(CASES) // 2)
    comparison = compare_scores([grouped], Settings(("dice",), bootstraps=200))
    tests = subgroup_tests(comparison, halves(tmp_path, grouped)).set_index(["method", "other"])
    units = scores.values.mean(axis=0)[1].reshape(-1, 2).mean(axis=1)
    assert tests.loc[("m1", ""), "p"] == pytest.approx(mannwhitneyu(units[:6], units[6:]).pvalue)


def test_a_subgroup_of_two_is_not_tested(tmp_path, scores, comparison):
    asked = table(tmp_path, [f"{k},{'few' if k < 2 else 'many'}" for k in range(CASES)])
    tests = subgroup_tests(comparison, read_subgroups([asked], [scores]))
    assert tests["p"].isna().all()


def test_numbers_are_divided_into_thirds_of_the_cases(tmp_path, scores):
    asked = table(tmp_path, [f"{k},{100 - k}" for k in range(CASES)], "case,area")
    (division,) = read_subgroups([asked], [scores])
    assert division.names == ("77 to 84", "85 to 92", "93 to 100")
    assert np.bincount(division.members).tolist() == [8, 8, 8]
    few = table(tmp_path, [f"{k},{k % 3}" for k in range(CASES)], "case,grade")
    assert read_subgroups([few], [scores])[0].names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("lines", "head", "message"),
    [
        ([f"{k},A" for k in range(CASES)], "case,site", "all cases of d have the same site, A"),
        ([f"{k},{k}" for k in range(1, CASES)], "case,site", "has no line for 0 of d"),
        (["x,A"], "case,site", "no test case is in it"),
        (["0,A"], "id,site", "there is no column 'case'; there are id, site"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, scores, lines, head, message):
    with pytest.raises(UserError, match=message):
        read_subgroups([table(tmp_path, lines, head)], [scores])


def test_what_is_no_file_and_column_is_refused(scores):
    for asked, message in (
        ("meta.csv", "must be FILE.csv:COLUMN"),
        ("nothing.csv:site", "there is no file nothing.csv"),
    ):
        with pytest.raises(UserError, match=message):
            read_subgroups([asked], [scores])
