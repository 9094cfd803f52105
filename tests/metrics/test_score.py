import math
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from skimage.measure import label

from segbench.metrics.configured import directions, functions
from segbench.metrics.object_matching import InstancePair
from segbench.metrics.objects import count_error, object_f1, object_precision, object_recall
from segbench.metrics.overlap import dice
from segbench.metrics.score import Score, score_case, score_objects
from segbench.metrics.surface import hd

CONF = Path(__file__).parents[2] / "conf"
CLASSES = ["background", "cell", "debris", "fibre"]
REFERENCE = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [2, 0, 0, 255]], dtype=np.uint8)
PREDICTION = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2]], dtype=np.uint8)


def configured(name):
    with initialize_config_dir(str(CONF), version_base=None):
        metrics = compose(f"metrics/{name}").metrics
    ways = directions(metrics)
    return {
        "classes": functions(metrics, "classes"),
        "objects": functions(metrics, "objects"),
        "empty_distance": metrics.empty_distance,
        "smaller": {name for group in ways.values() for name, way in group.items() if way == "smaller"},
    }


def test_one_row_per_class_and_metric():
    rows = score_case(PREDICTION, REFERENCE, (1, 2), CLASSES, {"dice": dice, "hd": hd})
    assert [(row.class_name, row.metric) for row in rows] == [
        (name, metric) for name in CLASSES[1:] for metric in ("dice", "hd")
    ]
    assert rows[0] == Score("cell", "dice", pytest.approx(6 / 7), n_ref=4, n_pred=3)
    assert rows[1] == Score("cell", "hd", 1.0, n_ref=4, n_pred=3)
    assert rows[2] == Score("debris", "dice", 0.0, n_ref=1, n_pred=0)  # what it predicts is ignored
    assert rows[3] == Score("debris", "hd", pytest.approx(math.hypot(3, 8)), n_ref=1, n_pred=0)
    assert all(math.isnan(row.value) and row.n_ref == row.n_pred == 0 for row in rows[4:])


def test_background_may_be_another_class_or_none():
    names = [row.class_name for row in score_case(PREDICTION, REFERENCE, (1, 1), CLASSES, {"dice": dice}, background=1)]
    assert names == ["background", "debris", "fibre"]
    rows = score_case(PREDICTION, REFERENCE, (1, 1), CLASSES, {"dice": dice}, background=None)
    assert rows[0].n_ref == 6


def test_objects():
    numbers = np.where(REFERENCE == 255, 9, REFERENCE).astype(np.int32)
    metrics = {"f1": object_f1, "count_error": count_error}
    assert score_objects(PREDICTION.astype(np.int32), numbers, (1, 1), metrics, label=REFERENCE) == [
        Score("objects", "f1", pytest.approx(2 / 3), n_ref=2, n_pred=1),
        Score("objects", "count_error", 1.0, n_ref=2, n_pred=1),
    ]
    unlabelled = score_objects(PREDICTION.astype(np.int32), numbers, (1, 1), metrics)
    assert (unlabelled[0].n_ref, unlabelled[0].n_pred) == (3, 2)


SOME_SIZES = {"recall_medium", "recall_large"}
"""Scores of objects of sizes that the case has not."""


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "metrics").glob("*.yaml")))
def test_configured_metrics_score_a_case(name):
    config = configured(name)
    options = {"empty_distance": config["empty_distance"]}
    rows = score_case(REFERENCE, REFERENCE, (1, 1), CLASSES[:3], config["classes"], **options)
    rows += score_objects(REFERENCE, REFERENCE, (1, 1), config["objects"], label=REFERENCE, **options)
    for row in rows:  # a perfect prediction has the best value in the direction that it states
        if math.isnan(row.value):
            assert row.metric in SOME_SIZES, row
        else:
            assert row.value == pytest.approx(0 if row.metric in config["smaller"] else 1), row


def test_a_wrong_prediction_is_worse_in_the_configured_direction():
    config = configured("standard")
    stripes = np.indices((30, 30))[1] // 5 % 2
    noise = np.random.default_rng(0).integers(0, 2, stripes.shape)
    rows = score_case(noise, stripes, (1, 1), CLASSES[:2], config["classes"])
    rows += score_objects(label(noise), label(stripes), (1, 1), config["objects"])
    for row in rows:
        if row.metric in config["smaller"]:
            assert row.value > 0, row
        else:
            assert row.value < 1, row


def test_a_family_has_the_names_and_the_order_that_its_metrics_had():
    names = list(configured("standard")["objects"])
    assert names[:9] == [
        "object_f1_50", "object_f1_75", "average_precision", "panoptic_quality", "segmentation_quality", "object_dice",
        "count_error", "rand_score", "information_score",
    ]  # fmt: skip
    percents = range(50, 100, 5)
    assert names[9:] == [
        *(f"object_precision_{percent}" for percent in percents),
        *(f"object_recall_{percent}" for percent in percents),
        *(f"object_f1_{percent}" for percent in percents if percent not in (50, 75)),
    ]
    assert list(configured("pass_fail")["classes"]) == ["dice", "pass_at_70", "pass_at_80", "pass_at_90"]


def test_a_family_scores_what_its_function_scores_at_each_threshold():
    draw = np.random.default_rng(0)
    reference = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((6, 6), int))
    prediction = np.where(draw.random(reference.shape) < 0.25, 0, reference)
    rows = score_objects(prediction, reference, (1, 1), configured("standard")["objects"])
    values = {row.metric: row.value for row in rows}
    for percent in range(50, 100, 5):
        pair = InstancePair(prediction, reference, (1, 1))
        for function in (object_precision, object_recall, object_f1):
            assert values[f"{function.__name__}_{percent}"] == function(pair, percent / 100)
    assert values["object_f1_50"] > values["object_f1_75"] > values["object_f1_95"]
