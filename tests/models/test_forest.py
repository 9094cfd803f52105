"""The random forest: its filters by their formulas, and what it learns that no threshold can."""

import numpy as np
import pytest
from scipy import ndimage

from segbench.models.estimator import TrainingCase
from segbench.models.forest import RandomForest, filter_bank
from segbench.models.thresholds import Otsu
from tests.models.estimators import cells, fitted, predict


@pytest.mark.parametrize("size", [(40, 44), (14, 15, 16)])
def test_filter_bank_of_a_quadratic_image(size):
    """f = 3 x^2: its Hessian has the eigenvalues 6 and 0, its gradient the length 6 x, smoothing adds 3 s^2."""
    x = np.arange(size[-1], dtype=np.float32) - size[-1] / 2
    image = np.broadcast_to(3 * x**2, (1, *size)).astype(np.float32)
    responses = filter_bank(image, [1.0, 1.5])
    dims = len(size)
    assert responses.shape == (1 + 2 * (2 + dims), *size)
    centre = (slice(None), *(length // 2 for length in size))
    expected = [0, 3, 0, 6, *[0] * (dims - 1), 6.75, 0, 6, *[0] * (dims - 1)]
    np.testing.assert_allclose(responses[centre], expected, atol=0.02)
    beside = (*centre[:-1], centre[-1] + 1)
    assert responses[beside][2] == pytest.approx(6, abs=0.02)


def test_forest_sees_texture_that_no_threshold_can():
    rng = np.random.default_rng(0)

    def case():
        label = np.zeros((60, 60), np.uint8)
        label[:, 30:] = 1
        rough = np.where(
            label, rng.normal(0, 1, label.shape), ndimage.gaussian_filter(rng.normal(0, 1, label.shape), 2) * 7
        )
        return TrainingCase(rough[None].astype(np.float32), label, (1.0, 1.0))

    train, unseen = [case(), case()], case()
    forest = fitted(lambda *sizes: RandomForest(*sizes, trees=20), *train)
    assert np.mean(predict(forest, unseen) == unseen.label) > 0.9
    assert np.mean(predict(fitted(Otsu, *train), unseen) == unseen.label) < 0.7


def test_a_balanced_forest_finds_more_of_a_rare_class():
    rng = np.random.default_rng(0)
    label = (rng.random((80, 80)) < 0.03).astype(np.uint8)
    image = (label + rng.normal(0, 0.8, label.shape))[None].astype(np.float32)
    case = TrainingCase(image, label, (1.0, 1.0))
    found = [
        predict(
            fitted(lambda *s, b=b: RandomForest(*s, trees=10, leaf=40, sigmas=(1.0,), balanced=b), case), case
        ).mean()
        for b in (False, True)
    ]
    assert found[0] < label.mean() < found[1]


def test_a_class_that_no_case_has():
    case = cells((40, 40))
    two = TrainingCase(case.image, np.minimum(case.label, 1), case.spacing)
    forest = RandomForest(2, 1, {"mask": 4}, trees=3, sigmas=(1.0,))
    forest.fit([two])
    assert set(np.unique(predict(forest, case))) <= {0, 1}
