"""One worked example, computed by hand: two reference squares, two predicted ones, of 4 x 4 pixels each."""

import numpy as np
import pytest

from segbench.metrics import objects as of_objects
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.object_matching import InstancePair
from segbench.metrics.overlap import dice, iou, precision, recall, specificity, volume_difference
from segbench.metrics.surface import assd, hd, hd95, normalised_surface_dice


def squares(*corners: tuple[int, int]) -> np.ndarray:
    image = np.zeros((12, 12), dtype=np.int32)
    for number, (row, column) in enumerate(corners, start=1):
        image[row : row + 4, column : column + 4] = number
    return image


REFERENCE = squares((2, 2), (2, 7))
PREDICTION = squares((2, 3), (7, 7))


@pytest.fixture
def masks() -> MaskPair:
    return MaskPair(PREDICTION > 0, REFERENCE > 0, spacing=(1, 1))


@pytest.fixture
def objects() -> InstancePair:
    return InstancePair(PREDICTION, REFERENCE, spacing=(1, 1))


def test_counts(masks):
    assert (masks.true_positives, masks.false_positives, masks.false_negatives) == (12, 20, 20)
    assert masks.true_negatives == 144 - 12 - 20 - 20
    assert (masks.n_pred, masks.n_ref) == (32, 32)
    assert masks.n_surface == (24, 24)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (dice, 0.375),
        (iou, 0.230769),
        (precision, 0.375),
        (recall, 0.375),
        (specificity, 92 / 112),
        (volume_difference, 0.0),
        (hd, 5.0),
        (hd95, 5.0),
        (lambda pair: hd95(pair, mode="pooled"), 5.0),
        (assd, 1.666667),
        (lambda pair: normalised_surface_dice(pair, 1.0), 0.583333),
        (lambda pair: normalised_surface_dice(pair, 2.0), 0.75),
    ],
)
def test_class_metrics(masks, metric, expected):
    assert metric(masks) == pytest.approx(expected, abs=1e-6)


def test_table_of_objects(objects):
    assert (objects.n_pred, objects.n_ref) == (2, 2)
    assert (objects.rows.tolist(), objects.columns.tolist()) == ([0], [0])
    assert objects.shared.tolist() == [12]
    assert objects.iou.tolist() == [0.6]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (of_objects.object_precision, 0.5),
        (of_objects.object_recall, 0.5),
        (of_objects.object_f1, 0.5),
        (lambda pair: of_objects.object_f1(pair, iou=0.55), 0.5),
        (lambda pair: of_objects.object_f1(pair, iou=0.6), 0.0),
        (of_objects.panoptic_quality, 0.3),
        (of_objects.segmentation_quality, 0.6),
        (of_objects.average_precision, 2 / 10 / 3),
        (of_objects.object_dice, 0.375),
        (of_objects.object_hausdorff, (3.0 + 2.5) / 2),
        (of_objects.count_error, 0.0),
        (of_objects.adapted_rand_error, 0.225806),
        (of_objects.rand_score, 0.787879),
    ],
)
def test_object_metrics(objects, metric, expected):
    assert metric(objects) == pytest.approx(expected, abs=1e-6)


CELLS = np.zeros((4, 9), dtype=np.int32)
CELLS[:, :4], CELLS[:, 5:] = 1, 2
SPLIT = CELLS.copy()
SPLIT[:, 2:4] = 3


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [(np.ones_like(CELLS), 0.347826), (SPLIT, 0.153846), (CELLS, 0.0)],
    ids=["merged", "split", "perfect"],
)
def test_rand_error_of_two_neighbouring_cells(prediction, expected):
    assert of_objects.adapted_rand_error(InstancePair(prediction, CELLS, (1, 1))) == pytest.approx(expected, abs=1e-6)
