"""From lines of scores to arrays: pooling, absent classes, what is missing."""

import numpy as np
import pandas as pd
import pytest

from segbench.compare.statistics.scores import (
    MEAN_OF_CLASSES,
    Row,
    all_data_sets,
    class_means,
    classes_as_cases,
    tabulate,
)
from segbench.errors import UserError

BETTER = {"dice": "larger", "hd95": "smaller"}


def one(frame, **options):
    (scores,) = tabulate(frame, BETTER, **options)
    return scores


def test_seeds_are_averaged_by_case_and_their_spread_is_kept(frame):
    scores = one(frame)
    assert scores.methods == ("good", "bad")
    assert scores.rows == (Row("dice", "a"), Row("dice", "b"))
    np.testing.assert_allclose(scores.values[0], [[0.5005, 0.5105, 0.5205], [0.3005, 0.3105, 0.3205]])
    np.testing.assert_allclose(scores.repeats[1], [[0.61, 0.611], [0.41, 0.411]])


def test_the_order_of_lines_does_not_matter(frame):
    shuffled = one(frame.sample(frac=1, random_state=1))
    straight = one(frame)
    methods = [shuffled.methods.index(m) for m in straight.methods]
    rows = [shuffled.rows.index(r) for r in straight.rows]
    cases = [shuffled.cases.index(c) for c in straight.cases]
    np.testing.assert_allclose(shuffled.values[np.ix_(rows, methods, cases)], straight.values)


def test_every_case_of_folds_is_there_once(frame):
    folds = frame.assign(fold=frame["case"])
    np.testing.assert_array_equal(one(folds).values, one(frame).values)
    assert one(folds).repeats.shape == one(frame).repeats.shape


def test_folds_that_share_their_cases_are_repetitions(frame):
    folds = pd.concat([frame.assign(fold=0), frame.assign(fold=1, value=frame["value"] + 0.1)])
    scores = one(folds)
    assert scores.repeats.shape == (2, 2, 4)
    np.testing.assert_allclose(scores.values, one(frame).values + 0.05)


def test_rows_follow_the_order_of_the_metrics(frame):
    both = pd.concat([frame.assign(metric="hd95"), frame])
    assert one(both).metrics == ("dice", "hd95")
    assert one(both).larger.tolist() == [True, True, False, False]
    assert one(both).only(["hd95"]).rows == (Row("hd95", "a"), Row("hd95", "b"))


@pytest.fixture
def absent(frame):
    """In case 0 class a is absent: the good method sees so, the bad one invents it."""
    lines = frame.assign(n_ref=10.0, n_pred=10.0)
    here = (lines["case"] == 0) & (lines["class"] == "a")
    lines.loc[here, "n_ref"] = 0
    lines.loc[here & (lines["method"] == "good"), ["n_pred", "value"]] = [0, np.nan]
    lines.loc[here & (lines["method"] == "bad"), "value"] = 0.0
    return lines


def test_an_absent_class_has_no_score_and_is_counted(absent):
    scores = one(absent)
    assert np.isnan(scores.values[0, 0, 0])
    assert scores.absent.tolist() == [[1, 0], [0, 0]]
    assert scores.lopsided == 1


def test_an_absent_class_can_count_as_perfect(absent):
    assert one(absent, absent="perfect").values[0, :, 0].tolist() == [1.0, 0.0]
    assert one(absent.assign(metric="hd95"), absent="perfect").values[0, :, 0].tolist() == [0.0, 0.0]


def test_the_mean_over_classes_is_over_those_that_all_methods_have(absent):
    means = class_means(one(absent))
    assert means.rows == (Row("dice", MEAN_OF_CLASSES),)
    np.testing.assert_allclose(means.values[0, :, 0], [0.6005, 0.4005])
    np.testing.assert_allclose(means.values[0, :, 1], [0.5605, 0.3605])


def test_what_is_nan_for_all_methods_is_not_missing(frame):
    undefined = frame.assign(value=frame["value"].where(frame["case"] != 1))
    assert np.isnan(one(undefined).values[:, :, 1]).all()


def lacking(frame):
    return frame[~((frame["method"] == "good") & (frame["class"] == "a") & (frame["case"] == 2))]


def test_missing_scores_are_refused_and_listed(frame):
    with pytest.raises(UserError, match=r"1 scores are missing: 'good' has no dice of 'a' in case '2'; name a policy"):
        one(lacking(frame))
    unknown = frame.assign(value=frame["value"].where(frame["seed"] + frame["case"] > 0), n_ref=5, n_pred=5)
    assert np.isfinite(one(unknown).values).all()  # the other seed has a score


@pytest.mark.parametrize(("policy", "expected"), [("worst", 0.0), (0.25, 0.25), ("drop", np.nan)])
def test_missing_scores_are_filled_by_the_named_policy(frame, policy, expected):
    np.testing.assert_equal(one(lacking(frame), missing=policy).values[0, 0, 2], expected)


def test_the_worst_of_a_distance_is_the_worst_seen(frame):
    scores = one(lacking(frame).assign(metric="hd95"), missing="worst")
    assert scores.values[0, 0, 2] == np.nanmax(scores.values[0, :, :2]) or scores.values[0, 0, 2] > 0.5


def test_groups_need_to_be_enough(frame):
    many = pd.concat([frame.assign(case=frame["case"] + 10 * k, group=str(k)) for k in range(5)])
    assert one(many).grouped
    assert one(many).units is not None
    few = pd.concat([frame.assign(case=frame["case"] + 10 * k, group=str(k)) for k in range(4)])
    assert not one(few).grouped
    assert one(few).drawn.tolist() == list(range(12))


def test_data_sets_seen_come_first_and_can_be_joined(frame):
    seen = pd.concat([frame, frame.assign(dataset="e")])
    unseen = frame.assign(dataset="u", split="unseen", trained_on="d")
    sets = tabulate(pd.concat([unseen, seen.assign(split="test", trained_on=seen["dataset"])]), BETTER)
    assert [s.name for s in sets] == ["d", "e", "u (unseen, trained on d)"]
    joined = all_data_sets([class_means(s) for s in sets[:2]])
    assert len(joined.cases) == 6
    assert len(set(joined.drawn.tolist())) == 6
    np.testing.assert_allclose(joined.values[0, :, :3], joined.values[0, :, 3:])


def test_classes_take_the_place_of_cases_in_a_plain_table(frame):
    plain = frame[(frame["case"] == 0) & (frame["seed"] == 0)]
    scores = classes_as_cases(tabulate(pd.concat([plain, plain.assign(dataset="e")]), BETTER))
    np.testing.assert_allclose(scores.values[0], [[0.5, 0.6, 0.5, 0.6], [0.3, 0.4, 0.3, 0.4]])


def test_clear_errors(frame):
    with pytest.raises(UserError, match="column 'value' is missing"):
        one(frame.drop(columns="value"))
    with pytest.raises(UserError, match="metric 'iou': not known whether larger or smaller"):
        one(frame.assign(metric="iou"))
    with pytest.raises(UserError, match="infinite"):
        one(frame.assign(value=np.inf))
