"""The consensus of data sets, against brute force and scipy."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from segbench.compare.report.figures import tree_figure
from segbench.compare.report.frames import consensus_frame
from segbench.compare.report.gallery import _order_plans
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.compare.statistics.consensus import distances
from segbench.errors import UserError
from tests.compare.fake_scores import make_scores


def data_sets(count, methods=4, classes=(1, 3, 1, 2, 1, 1)):
    rng = np.random.default_rng(5)
    return [
        replace(make_scores(rng.normal(0.7, 0.1, (classes[k], methods, 10))), dataset=f"d{k}", trained_on=f"d{k}")
        for k in range(count)
    ]


def compared(sets, **settings):
    return compare_scores(sets, Settings(("dice",), bootstraps=100, **settings))


@pytest.mark.parametrize("weights", [(), (("d0", 5.0), ("d2", 0.5))])
def test_the_consensus_is_nearest_to_the_orders_of_the_data_sets(weights):
    found = compared(data_sets(4), weights=weights).consensus
    share = np.array([dict(weights).get(f"d{k}", 1.0) for k in range(4)])
    orders = [np.array(order) + 1.0 for order in itertools.permutations(range(4))]
    cost = [float(share @ ((found.places - order) ** 2).sum(axis=1)) for order in orders]
    own = stats.rankdata(found.mean_places, method="ordinal")
    assert float(share @ ((found.places - own) ** 2).sum(axis=1)) == pytest.approx(min(cost))
    assert found.mean_places == pytest.approx(np.average(found.places, axis=0, weights=share))


def test_a_data_set_counts_once_whatever_its_classes():
    one = make_scores([[[0.9] * 6, [0.8] * 6]])
    many = make_scores([[[0.8] * 6, [0.9] * 6]] * 5)
    sets = [replace(s, dataset=n, trained_on=n) for s, n in ((one, "a"), (many, "b"), (one, "c"))]
    comparison = compared(sets)
    assert comparison.total.positions.tolist() == [2, 1]
    assert comparison.consensus.positions.tolist() == [1, 2]
    assert "counting each data set once (Euclidean consensus of their orders), 'm0' is first" in comparison.notes
    assert consensus_frame(comparison)["data set b"].tolist() == [2, 1]


def test_the_order_by_each_metric():
    scores = make_scores([[[0.9] * 6, [0.8] * 6], [[5.0] * 6, [3.0] * 6]])
    rows = tuple(row._replace(metric=metric) for row, metric in zip(scores.rows, ("dice", "hd95"), strict=True))
    comparison = compared([replace(scores, rows=rows, larger=np.array([True, False]))])
    assert {metric: order.tolist() for metric, order in comparison.consensus.by_metric.items()} == {
        "dice": [1, 2],
        "hd95": [2, 1],
    }
    assert "by hd95 alone, 'm1' is first" in comparison.notes


def test_distances_are_those_of_kendall():
    places = np.random.default_rng(0).integers(1, 4, (5, 6)).astype(float)
    found = distances(places)
    for i, j in itertools.combinations(range(5), 2):
        assert found[i, j] == pytest.approx((1 - stats.kendalltau(places[i], places[j]).statistic) / 2)
    assert np.diag(found).tolist() == [0] * 5


def test_a_weight_of_no_data_set():
    with pytest.raises(UserError, match="no such data set; there are d0, d1"):
        compared(data_sets(2), weights=(("e", 1.0),))


def test_five_data_sets_are_drawn_as_a_tree():
    sets = data_sets(5, methods=3)
    comparison = compared(sets)
    plans = [plan.name for plan in _order_plans(comparison)]
    assert "data_sets" in plans
    (axes,) = tree_figure(comparison).axes
    assert sorted(label.get_text() for label in axes.get_yticklabels()) == [f"d{k}" for k in range(5)]
