"""k-means: centres as Lloyd's algorithm leaves them, groups of colours, and the weight of a pixel's place."""

import numpy as np

from segbench.models.estimator import TrainingCase
from segbench.models.kmeans import KMeans
from tests.models.estimators import cells, fitted, predict


def test_kmeans_recovers_two_groups_of_colours():
    rng = np.random.default_rng(0)
    label = (rng.random((40, 50)) < 0.3).astype(np.uint8)
    image = np.where(label, [[[4.0]], [[0.0]]], [[[0.0]], [[4.0]]]) + rng.normal(0, 0.5, (2, 40, 50))
    case = TrainingCase(image.astype(np.float32), label, (1.0, 1.0))
    for per_image in (False, True):
        model = fitted(KMeans, case, clusters=2, per_image=per_image)
        np.testing.assert_array_equal(predict(model, case), label)


def test_centres_are_those_of_lloyd_and_sorted_by_brightness():
    case = cells((40, 40), channels=3)
    centres = fitted(KMeans, case, clusters=3).learnt.centres
    np.testing.assert_array_equal(np.argsort(centres.mean(1)), [0, 1, 2])
    pixels = case.image.reshape(3, -1).T
    nearest = ((pixels[:, None] - centres) ** 2).sum(-1).argmin(1)
    np.testing.assert_allclose(centres, [pixels[nearest == k].mean(0) for k in range(3)], atol=1e-3)


def test_place_divides_an_image_without_contrast():
    label = np.repeat([0, 1], 20)[None].repeat(8, 0).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 0.01, (1, 8, 40)).astype(np.float32)
    case = TrainingCase(noise, label, (1.0, 1.0))
    assert np.mean(predict(fitted(KMeans, case, clusters=8, place=0.0), case) != label) > 0.3
    assert np.mean(predict(fitted(KMeans, case, clusters=8, place=1.0), case) != label) < 0.2
