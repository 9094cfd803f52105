"""The verdict, the table, the picture and the pairs never disagree in sign, whatever the scores are."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.compare.report.frames import rank_frame, score_frame
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.compare.statistics.ranking import RULES
from segbench.compare.statistics.verdict import judge
from tests.compare.fake_scores import make_scores


@st.composite
def tables(draw):
    """Scores with ties, outliers, failures and gaps, of few and of more cases, in groups or not."""
    methods, cases = draw(st.integers(2, 4)), draw(st.sampled_from([1, 2, 5, 7, 14, 30]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    hardness = rng.beta(8, 2, (2, 1, cases))
    values = hardness + rng.normal(0, draw(st.sampled_from([0.0, 0.01, 0.2])), (2, methods, cases))
    values += draw(st.sampled_from([0.0, 0.02, 0.3])) * rng.normal(size=(2, methods, 1))
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.1]))] = 0.0
    values = np.clip(values, 0, 1).round(draw(st.sampled_from([1, 3, 12])))
    gaps = rng.random(values.shape) < draw(st.sampled_from([0.0, 0.15]))
    gaps[:, :, 0] = False
    values[gaps] = np.nan
    groups = rng.integers(0, 6, cases) if draw(st.booleans()) and cases > 13 else None
    scores = make_scores(values, groups=None if groups is None else np.unique(groups, return_inverse=True)[1])
    larger = draw(st.booleans())
    return scores if larger else make_scores(values, larger=False)


@pytest.mark.parametrize("ranking", sorted(RULES))
@settings(max_examples=8, deadline=None, derandomize=True)
@given(scores=tables())
def test_nothing_disagrees(ranking, scores):
    comparison = compare_scores([scores], Settings(("dice",), ranking=ranking, bootstraps=100, relevant=0.01))
    names, larger = list(comparison.methods), bool(scores.larger[0])
    shown = score_frame(comparison).set_index(["class", "method"])
    ranks = rank_frame(comparison).set_index(["class", "method"])["rank"]
    for line in comparison.pairs.to_dict("records"):
        one, other, sign = line["method"], line["other"], 1 if larger else -1
        if line["statistic"] == "mean rank":
            sign = -1
        gain = sign * np.nan_to_num(line["difference"])
        assert line["leads"] == (one if gain > 0 else other if gain < 0 else "")
        assert line["better"] in ("", line["leads"])
        if line["better"] and not RULES[ranking].test:  # that of the ranks is another one than that of the mean
            assert line["p"] < 0.05
            assert line["false_claim"] < 0.05
        if line["low"] > 0 or line["high"] < 0:
            assert np.sign(line["low"]) == np.sign(line["difference"])
        assert line["relevance"] != ("worse" if gain > 0 else "better")
        if line["statistic"] != "mean rank" and line["dataset"] == "d":
            scored = [shown.loc[(line["class"], name), "score"] for name in (one, other)]
            assert line["difference"] == pytest.approx(scored[0] - scored[1], abs=1e-9, nan_ok=True)
        if line["class"] != "mean of classes" and ranking != "significance" and line["leads"]:
            behind = other if line["leads"] == one else one
            assert ranks[(line["class"], line["leads"])] <= ranks[(line["class"], behind)]
    picture = comparison.better(comparison.overall, comparison.overall.rows[0])
    claims = comparison.overall_pairs("dice")
    for i, j in itertools.permutations(range(len(names)), 2):
        here = claims[claims["method"].isin([names[i], names[j]]) & claims["other"].isin([names[i], names[j]])]
        assert picture[i, j] == (here["better"].iloc[0] == names[i])
    verdict = judge(comparison)
    for name in verdict.beaten:
        assert picture[names.index(verdict.best), names.index(name)]
