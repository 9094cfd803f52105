"""The whole computation on fake runs: standings, verdict, notes, frames, tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segbench.compare.reading.methods import Rules, load_runs
from segbench.compare.report.efficiency import adjusted, efficiency_frame, pareto
from segbench.compare.report.frames import cost_frame, drop_frame, rank_frame, score_frame
from segbench.compare.report.relative import relative_change, relative_table
from segbench.compare.report.tables import comparison_table, percent
from segbench.compare.statistics.comparison import TOTAL, Settings, compare_scores
from segbench.compare.statistics.verdict import judge
from segbench.errors import UserError
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import QUALITIES, case_names, make_sweep

REFERENCE = Path(__file__).parent / "reference"


def load(folder, **rules):
    return load_runs(find_runs(str(folder)), Rules(**rules))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_sweep(folder, QUALITIES, datasets=("wbc", "dsb"), unseen={"other": 0.6})
    return load(folder)


@pytest.fixture(scope="module")
def comparison(loaded):
    return compare_scores(loaded.sets, Settings(("dice",), bootstraps=500))


def test_standings(comparison):
    names = [comparison.methods[k] for k in comparison.order]
    assert names == ["unet / dice", "unet / tversky", "segnet / dice", "segnet / tversky"]
    assert comparison.total.rank_sums[comparison.order].tolist() == [4, 8, 12, 16]
    by_data = comparison.standings["wbc"].rank_sums + comparison.standings["dsb"].rank_sums
    np.testing.assert_array_equal(by_data, comparison.total.rank_sums)
    assert set(comparison.standings) == {
        "wbc",
        "dsb",
        "other (unseen, trained on wbc)",
        "other (unseen, trained on dsb)",
        TOTAL,
    }


def test_a_metric_where_smaller_is_better_gives_the_same_order(loaded, comparison):
    other = compare_scores(loaded.sets, Settings(("hd95",), bootstraps=100))
    assert other.order == comparison.order
    both = compare_scores(loaded.sets, Settings(("dice", "hd95"), bootstraps=100))
    np.testing.assert_array_equal(both.total.rank_sums, comparison.total.rank_sums + other.total.rank_sums)


def test_every_rule_agrees_here(comparison):
    for name, standing in comparison.other_rules.items():
        best = comparison.order[0]
        assert standing.positions[best] == 1, name
    assert np.isnan(comparison.other_rules["significance"].first).all()
    assert not np.isnan(comparison.other_rules["median"].first).any()


def test_the_verdict_where_one_is_better(comparison):
    verdict = judge(comparison)
    assert verdict.decided
    assert verdict.best == "unet / dice"
    assert len(verdict.beaten) == 3
    assert "significantly better than that of each of the other 3 methods" in verdict.sentence


def test_the_verdict_where_it_cannot_be_said(tmp_path):
    make_sweep(tmp_path, {("a", "x"): 0.801, ("b", "x"): 0.8, ("c", "x"): 0.5})
    verdict = judge(compare_scores(load(tmp_path).sets, Settings(("dice",), bootstraps=200)))
    assert not verdict.decided
    assert len(verdict.rivals) == 1
    assert verdict.beaten == ("c",)
    assert verdict.sentence.startswith("It cannot be said which method is best")


def test_the_verdict_where_the_gap_is_within_the_seed_noise(tmp_path):
    for shift, seed in ((0.05, 0), (-0.05, 1)):
        make_sweep(tmp_path / str(seed), {("a", "x"): 0.80 + shift, ("b", "x"): 0.76 - shift}, seeds=(seed,))
    verdict = judge(compare_scores(load(tmp_path).sets, Settings(("dice",), bootstraps=200)))
    assert not verdict.decided
    assert "is within the seed noise" in verdict.rivals[0].reason


@pytest.mark.parametrize(
    ("units", "size", "smallest"),
    [(3, 1, "0.25"), (4, 1, "0.12"), (5, 1, "0.062"), (5, 4, "0.062"), (6, 1, None), (6, 4, None)],
)
def test_the_verdict_where_no_test_could_decide(tmp_path, units, size, smallest):
    cases = case_names("wbc", size * units)
    groups = {name: str(number // size) for number, name in enumerate(cases)}
    make_sweep(tmp_path, {("a", "x"): 0.9, ("b", "x"): 0.5}, cases=cases, groups=groups)
    verdict = judge(compare_scores(load(tmp_path).sets, Settings(("dice",), bootstraps=100)))
    assert verdict.decided == (smallest is None)
    if smallest:
        what = "groups" if size > 1 else "cases"
        assert verdict.sentence.endswith(
            f" No test of {units} {what} can be significant at 0.05: its smallest possible p is {smallest};"
            f" it takes 6 {what} or more."
        )


def test_with_three_methods_six_groups_are_too_few(tmp_path):
    cases = case_names("wbc", 12)
    groups = {name: str(number // 2) for number, name in enumerate(cases)}
    make_sweep(tmp_path, {("a", "x"): 0.9, ("b", "x"): 0.5, ("c", "x"): 0.2}, cases=cases, groups=groups)
    sentence = judge(compare_scores(load(tmp_path).sets, Settings(("dice",), bootstraps=100))).sentence
    assert "is 0.031, 0.094 adjusted for 3 tests; it takes 7 groups or more" in sentence


def test_notes_on_what_cannot_be_known(tmp_path):
    names = case_names("wbc", 12)
    groups = {name: str(k // 6) for k, name in enumerate(names)}
    make_sweep(tmp_path, QUALITIES, seeds=(0,), groups=groups)
    notes = compare_scores(load(tmp_path).sets, Settings(("dice",), bootstraps=100)).notes
    assert "12 cases in only 2 groups: cases are treated as independent" in notes[0]
    assert "one seed for each method" in notes[1]


def test_one_case_only(tmp_path):
    make_sweep(tmp_path, QUALITIES, cases=["only"])
    comparison = compare_scores(load(tmp_path).sets, Settings(("dice",)))
    assert "one case only" in comparison.notes[0]
    assert np.isnan(comparison.total.first).all()
    assert not judge(comparison).decided


def test_all_scores_equal(tmp_path):
    from tests.compare.fake_runs import make_run, score_rows

    rows = score_rows(0.8)
    for row in rows:
        row[8] = "0.5"
    for model in ("a", "b", "c"):
        make_run(tmp_path, choices={"model": model}, quality=0, rows=rows)
    comparison = compare_scores(load(tmp_path).sets, Settings(("dice",), bootstraps=100))
    assert comparison.total.rank_sums.tolist() == [2, 2, 2]
    assert any("all scores are equal" in note for note in comparison.notes)
    assert "equal rank sums" in judge(comparison).sentence


def test_unknown_metric_and_settings(loaded):
    with pytest.raises(UserError, match="metric=iou: data set 'dsb' has no such scores, only dice, hd95"):
        compare_scores(loaded.sets, Settings(("iou",)))
    for wrong in ({"ranking": "best"}, {"ties": "odd"}, {"confidence": 1.0}, {"bootstraps": 1}, {"cuts": (0.1, 0.0)}):
        with pytest.raises(UserError):
            Settings(("dice",), **wrong)


def test_frames_hold_the_same_numbers(loaded, comparison):
    scores = score_frame(comparison)
    line = scores[(scores["dataset"] == "dsb") & (scores["class"] == "nucleus") & (scores["metric"] == "dice")].iloc[0]
    values = loaded.sets[0].values[0, 0]
    assert line["method"] == "segnet / dice"
    assert line["score"] == pytest.approx(values.mean())
    assert line["sd"] == pytest.approx(values.std(ddof=1))
    assert line["low"] < line["score"] < line["high"]
    assert (line["cases"], line["seeds"]) == (12, 2)
    means = scores[scores["class"] == "mean of classes"]
    assert len(means) == 4 * 2 * 4
    ranks = rank_frame(comparison)
    total = ranks[ranks["dataset"] == TOTAL].set_index("method")["rank"]
    assert total["unet / dice"] == 4
    assert cost_frame(loaded.methods).set_index("method").loc["segnet / tversky", "parameters"] == 4e6


def test_the_drop_to_unseen_data_is_over_shared_classes_and_positive_where_worse(comparison):
    drops = drop_frame(comparison).set_index(["trained_on", "metric", "method"])
    line = drops.loc[("wbc", "dice", "unet / dice")]
    assert line["drop"] == pytest.approx(line["seen"] - line["unseen_score"])
    assert line["drop"] > 0.2
    assert drops.loc[("wbc", "hd95", "unet / dice"), "drop"] > 0


def test_pareto_by_brute_force():
    rng = np.random.default_rng(0)
    scores, costs = rng.integers(0, 5, 30).astype(float), rng.integers(0, 5, 30).astype(float)
    for larger in (True, False):
        gain = scores if larger else -scores
        expected = [
            not any(
                gain[j] >= gain[i] and costs[j] <= costs[i] and (gain[j], costs[j]) != (gain[i], costs[i])
                for j in range(30)
            )
            for i in range(30)
        ]
        assert pareto(scores, costs, larger).tolist() == expected


def test_adjusted_scores():
    np.testing.assert_allclose(
        adjusted(np.array([0.8, 0.8, 0.8]), np.array([1.0, 10.0, 100.0]), True), [0.8, 0.792, 0.784]
    )
    np.testing.assert_allclose(adjusted(np.array([5.0, 5.0]), np.array([1.0, 10.0]), False), [5.0, 5.05])
    assert np.isnan(adjusted(np.array([0.5]), np.array([np.nan]), True)).all()
    # What has no parameters at all is as cheap as the cheapest that has some.
    np.testing.assert_allclose(adjusted(np.full(3, 0.8), np.array([0.0, 10.0, 100.0]), True), [0.8, 0.8, 0.792])


def test_efficiency_frame(loaded, comparison):
    frame = efficiency_frame(comparison, loaded.methods).set_index(["cost", "method"])
    assert frame.loc[("parameters", "unet / dice"), "pareto"]
    assert not frame.loc[("parameters", "segnet / tversky"), "pareto"]


def test_the_published_ablation_is_met():
    table = pd.read_csv(REFERENCE / "nnunet_ablation.csv", index_col="variant")
    baseline = table.iloc[0].astype(float).to_numpy()
    printed = table.iloc[1:]
    changes = printed.map(lambda text: float(text.rstrip("%"))).to_numpy()
    absolute = np.vstack([baseline, baseline * (1 + changes / 100)])
    recomputed = relative_change(absolute.T, 0).T[1:]
    assert [[percent(v) for v in row] for row in recomputed] == printed.to_numpy().tolist()
    assert recomputed.mean(axis=1) == pytest.approx([-2.2, -18.2, 0.2, -1.9, -7.8, -3.6], abs=0.06)


def test_a_collapsed_variant_is_minus_hundred_per_cent():
    assert percent(relative_change(np.array([[0.65, 0.0]]), 0)[0, 1]) == "-100.0%"
    assert percent(-0.04) == "0.0%"
    assert np.isnan(relative_change(np.array([[0.0, 0.5]]), 0)).all()


def test_the_relative_table(comparison):
    table = relative_table(comparison, "unet / dice", "dice")
    lines = table.sections[0].lines
    assert lines[0].label == "unet / dice (dice)"
    assert [line.label for line in lines[1:]] == ["unet / tversky", "segnet / dice", "segnet / tversky"]
    assert table.columns[:2] == ("dsb", "wbc")
    means = comparison.summaries[0][-2]
    expected = 100 * (
        means[comparison.methods.index("segnet / tversky")] / means[comparison.methods.index("unet / dice")] - 1
    )
    assert lines[3].cells[0].value == pytest.approx(expected)
    with pytest.raises(UserError, match="baseline=unet / dic: no such method; did you mean 'unet / dice'"):
        relative_table(comparison, "unet / dic", "dice")


def test_a_collapsed_variant_is_marked(tmp_path):
    make_sweep(tmp_path, {("a", "x"): 0.8, ("b", "x"): -0.5, ("c", "x"): 0.5})
    compared = compare_scores(load(tmp_path).sets, Settings(("dice",), bootstraps=100))
    (section,) = relative_table(compared, "a", "dice").sections
    marked = [line.cells[0].text.endswith("(collapsed)") for line in section.lines]
    assert marked == [False, False, True]


def test_marks_of_the_table(loaded, comparison):
    table = comparison_table(comparison, loaded.methods, ("dice",))
    line = table.sections[0].lines[0]
    assert [cell.mark for cell in line.cells] == ["best", "second", "", ""]
    assert line.cells[0].text.endswith("(1)")
    assert not line.cells[0].alike
    kinds = [line.kind for line in table.sections[-1].lines]
    assert kinds == [
        *["sum"] * (len(kinds) - 9),
        "total",
        "first",
        "first",
        "drop",
        "drop",
        "cost",
        "cost",
        "cost",
        "count",
    ]
    sums = [line.label for line in table.sections[-1].lines if line.kind == "sum"]
    assert sums == [f"rank sum {scores.name}" for scores in comparison.sets]
