"""Annotators as methods, and the order of the methods by each of them."""

import csv

import pytest

from segbench.compare.reading.methods import Rules, load_runs, load_table
from segbench.compare.report.annotators import reversal_sentence
from segbench.compare.statistics.comparison import Settings, compare_scores
from segbench.compare.statistics.references import MAIN, orders_by_reference, reversals
from segbench.runs.discovery import find_runs
from tests.compare.fake_runs import make_sweep, score_rows, write_table

QUALITIES = {("unet", "dice"): 0.86, ("segnet", "dice"): 0.80, ("fcn", "dice"): 0.70}
BY_SECOND = {"unet": 0.75, "segnet": 0.81, "fcn": 0.70}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotators")
    for path in make_sweep(folder, QUALITIES):
        model = path.name.partition("-")[0]
        write_table(path / "references" / "second.csv", score_rows(BY_SECOND[model], key=model))
        write_table(path / "annotators" / "second.csv", score_rows(0.9, key="second"))
    return load_runs(find_runs(str(folder)), Rules())


@pytest.fixture(scope="module")
def comparison(loaded):
    return compare_scores(loaded.sets, Settings(("dice",), bootstraps=200))


def test_a_person_is_a_ranked_method(loaded, comparison):
    assert comparison.methods == ("fcn", "segnet", "unet", "second (annotator)")
    assert comparison.methods[comparison.order[0]] == "second (annotator)"
    assert loaded.methods[-1].runs == ()
    person = loaded.sets[0].values[0, -1]
    assert person[0] == pytest.approx(float(score_rows(0.9, key="second")[0][8]))


def test_it_is_left_out_where_that_is_asked_for(loaded, tmp_path):
    runs = [run.path for method in loaded.methods for run in method.runs]
    alone = load_runs(runs, Rules(annotators=False))
    assert (alone.sets[0].methods, alone.references) == (("fcn", "segnet", "unet"), {})


def test_the_order_by_each_reference_is_that_of_its_scores(loaded, comparison):
    orders = orders_by_reference(comparison, loaded.references)
    places = orders.set_index(["reference", "method"])["place"]
    assert [places[MAIN, name] for name in ("unet", "segnet", "fcn")] == [1, 2, 3]
    assert [places["second", name] for name in ("unet", "segnet", "fcn")] == [2, 1, 3]
    pairs = reversals(orders)
    assert pairs[["method", "other", "first", "second"]].to_numpy().tolist() == [["unet", "segnet", MAIN, "second"]]
    assert pairs["by_first"][0] > 0 > pairs["by_second"][0]
    assert "'unet' before 'segnet' by the reference (+0.058), behind it by second (-0.060)" in reversal_sentence(pairs)
    assert "same order" in reversal_sentence(pairs[:0])


def test_a_table_may_have_several_references(tmp_path):
    methods = {"a": (0.9, 0.7), "b": (0.8, 0.8), "human": (0.95, None)}
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "case", "reference", "value"])
        for method, values in methods.items():
            for reference, value in zip(("first", "second"), values, strict=True):
                if value is not None:
                    writer.writerows([method, case, reference, value + case / 100] for case in range(8))
    loaded = load_table(tmp_path / "scores.csv", "dice", Rules(better="larger"))
    assert loaded.sets[0].methods == ("a", "b", "human")
    assert loaded.references["second"][0].methods == ("a", "b")
    comparison = compare_scores(loaded.sets, Settings(("score",), bootstraps=200))
    pairs = reversals(orders_by_reference(comparison, loaded.references))
    assert pairs[["method", "other"]].to_numpy().tolist() == [["a", "b"]]
    assert pairs["by_first"][0] == pytest.approx(0.1)
