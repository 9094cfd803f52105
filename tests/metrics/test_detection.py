import itertools
import math
from functools import partial

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from segbench.metrics.aggregated_jaccard import aggregated_jaccard, aggregated_jaccard_plus
from segbench.metrics.detection import (
    centroid_f1,
    centroid_precision,
    centroid_recall,
    det,
    false_merges,
    false_splits,
    matched_distance,
    recall_of_size,
)
from segbench.metrics.object_matching import InstancePair
from segbench.metrics.objects import object_recall
from segbench.metrics.surface import assd, normalised_surface_dice

SHAPES = [(40, 50), (12, 20, 25)]
LARGER = [aggregated_jaccard, aggregated_jaccard_plus, det, partial(centroid_f1, radius=3.0)]


def blobs(shape, seed):
    """A prediction and a reference of some dozen objects: kept, moved, merged, split, missed and invented."""
    rng = np.random.default_rng(seed)
    field, noise = (ndimage.gaussian_filter(rng.standard_normal(shape), 1.5) for _ in range(2))
    return [ndimage.label(image > 0.6 * image.std())[0].astype(np.int32) for image in (field + 0.5 * noise, field)]


def pair_of(predicted, true, spacing=None):
    return InstancePair(predicted, true, spacing or (1.0,) * predicted.ndim)


def pixels(labels):
    return [labels == number for number in np.unique(labels[labels > 0])]


def row(text):
    return np.array([[int(letter) for letter in text]], dtype=np.int32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_aggregated_jaccard_by_brute_force(shape, seed):
    predicted, true = blobs(shape, seed)
    ours, theirs = pixels(predicted), pixels(true)
    iou = np.array([[(a & b).sum() / (a | b).sum() for a in ours] for b in theirs])
    naive = [(j, i) for j, i in enumerate(iou.argmax(axis=1)) if iou[j, i] > 0]
    unique = [(j, i) for j, i in zip(*linear_sum_assignment(-iou), strict=True) if iou[j, i] > 0]
    for metric, matched in ((aggregated_jaccard, naive), (aggregated_jaccard_plus, unique)):
        shared = sum((ours[i] & theirs[j]).sum() for j, i in matched)
        union = sum((ours[i] | theirs[j]).sum() for j, i in matched)
        union += sum(theirs[j].sum() for j in set(range(len(theirs))) - {j for j, _ in matched})
        union += sum(ours[i].sum() for i in set(range(len(ours))) - {i for _, i in matched})
        assert metric(pair_of(predicted, true)) == pytest.approx(shared / union)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", [0.5, 2.0, 6.0])
def test_centroids_by_brute_force(shape, radius):
    predicted, true = blobs(shape, 5)
    spacing = (2.0, 0.5, 1.0)[: len(shape)]
    places = [
        np.array(ndimage.center_of_mass(labels > 0, labels, np.unique(labels[labels > 0]))) * spacing
        for labels in (predicted, true)
    ]
    distances = np.linalg.norm(places[0][:, None] - places[1][None], axis=2)
    found = sum(distances[pair] <= radius for pair in zip(*linear_sum_assignment(distances > radius), strict=True))
    pair = pair_of(predicted, true, spacing)
    assert centroid_f1(pair, radius) == pytest.approx(2 * found / sum(distances.shape))
    assert centroid_precision(pair, radius) == pytest.approx(found / distances.shape[0])
    assert centroid_recall(pair, radius) == pytest.approx(found / distances.shape[1])


def test_splits_and_merges():
    true = row("111100222200333300044")
    merged_and_split = row("111111111100330200000")  # 1 and 2 merged, 3 in two parts, 4 missed
    pair = pair_of(merged_and_split, true)
    assert (false_merges(pair), false_splits(pair)) == (1.0, 1.0)
    assert (false_merges(pair.swapped), false_splits(pair.swapped)) == (1.0, 1.0)
    # One node to split (5), objects 3 (no part has more than half of it) and 4 missed (10 each), two too many (1 each).
    assert det(pair) == pytest.approx(1 - (5 + 20 + 2) / 40)
    assert det(pair_of(true, true)) == 1.0
    assert det(pair_of(row("0123456789"), row("1000000000"))) == pytest.approx(0.0)  # no worse than nothing


def test_recall_by_size_adds_up():
    predicted, true = blobs((60, 60), 7)
    pair = pair_of(predicted, true, (0.5, 2.0))
    areas = np.bincount(true.reshape(-1))[1:]
    bounds = [0.0, 10.0, 30.0, None]
    parts = [recall_of_size(pair, 0.5, low, high) for low, high in itertools.pairwise(bounds)]
    counts = [np.sum((areas >= low) & (areas < (high or 1e9))) for low, high in itertools.pairwise(bounds)]
    assert all(counts)
    assert np.average(parts, weights=counts) == pytest.approx(object_recall(pair, 0.5))
    assert math.isnan(recall_of_size(pair, 0.5, 1e6))


def test_matched_distance():
    true, predicted = np.zeros((20, 40), np.int32), np.zeros((20, 40), np.int32)
    true[2:12, 2:12], predicted[2:12, 3:13] = 1, 5
    true[5:15, 20:30], predicted[5:15, 20:30] = 2, 9
    true[17:19, 35:37] = 3
    pair = pair_of(predicted, true)
    one = assd(pair.masks(0, 0))
    assert matched_distance(pair, assd) == pytest.approx(one / 2)
    assert matched_distance(pair, assd, 0.99) == 0.0  # the second alone
    nowhere = pair_of(np.roll(predicted, 9, axis=0), true)
    assert matched_distance(nowhere, assd, 0.9) == nowhere.empty_distance
    with pytest.raises(ValueError, match="must be a distance"):
        matched_distance(pair, partial(normalised_surface_dice, tolerance=1))


@pytest.mark.parametrize("metric", LARGER)
def test_none_one_and_perfect(metric):
    empty, true = np.zeros((40, 50), np.int32), blobs((40, 50), 1)[1]
    assert math.isnan(metric(pair_of(empty, empty)))
    assert metric(pair_of(empty, true)) == metric(pair_of(true, empty)) == 0.0
    assert metric(pair_of(true, true)) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", [*LARGER, false_splits, false_merges, partial(recall_of_size, smallest=10.0)])
def test_numbers_of_objects_do_not_matter(metric):
    predicted, true = blobs((40, 50), 2)
    order = np.random.default_rng(0).permutation(predicted.max())
    renumbered = np.concatenate([[0], order + 1])[predicted].astype(np.int32)
    assert metric(pair_of(renumbered, true)) == pytest.approx(metric(pair_of(predicted, true)))
