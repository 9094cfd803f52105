import math
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from skimage.measure import label

from segbench.metrics.objects import count_error, object_f1
from segbench.metrics.overlap import dice
from segbench.metrics.score import Score, score_case, score_objects
from segbench.metrics.surface import hd

CONF = Path(__file__).parents[2] / "conf"
CLASSES = ["background", "cell", "debris", "fibre"]
REFERENCE = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [2, 0, 0, 255]], dtype=np.uint8)
PREDICTION = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2]], dtype=np.uint8)


def configured(name):
    with initialize_config_dir(str(CONF), version_base=None):
        return instantiate(compose(f"metrics/{name}").metrics, _convert_="all")


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


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "metrics").glob("*.yaml")))
def test_configured_metrics_score_a_case(name):
    config = configured(name)
    assert set(config["smaller_is_better"]) <= {*config["classes"], *config["objects"]}
    assert not config["classes"].keys() & config["objects"].keys()

    options = {"empty_distance": config["empty_distance"]}
    rows = score_case(REFERENCE, REFERENCE, (1, 1), CLASSES[:3], config["classes"], **options)
    rows += score_objects(REFERENCE, REFERENCE, (1, 1), config["objects"], label=REFERENCE, **options)
    for row in rows:  # a perfect prediction has the best value in the direction that the file states
        assert row.value == (0 if row.metric in config["smaller_is_better"] else 1), row


def test_a_wrong_prediction_is_worse_in_the_configured_direction():
    config = configured("standard")
    stripes = np.indices((30, 30))[1] // 5 % 2
    noise = np.random.default_rng(0).integers(0, 2, stripes.shape)
    rows = score_case(noise, stripes, (1, 1), CLASSES[:2], config["classes"])
    rows += score_objects(label(noise), label(stripes), (1, 1), config["objects"])
    for row in rows:
        if row.metric in config["smaller_is_better"]:
            assert row.value > 0, row
        else:
            assert row.value < 1, row
