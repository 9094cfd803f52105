"""Which region is which class: by a vote or by Dice, on the channel and with the numbering that show it best."""

import numpy as np
import pytest

from segbench.errors import UserError
from segbench.models.estimator import TrainingCase
from segbench.models.thresholds import Otsu
from segbench.models.unsupervised_regions import (
    class_table,
    count_classes,
    highest_dice,
    majority,
    mean_dice,
    principal_component,
)
from tests.models.estimators import cells, dice, fitted, predict


def test_table_of_counts():
    regions, label = np.array([[0, 0, 1], [1, 1, 0]]), np.array([[0, 1, 1], [1, 255, 0]], np.uint8)
    counts = count_classes(regions, label, 3, 2)
    np.testing.assert_array_equal(counts, [[2, 1], [0, 2], [0, 0]])
    np.testing.assert_allclose(np.exp(class_table(counts, majority)), [[0.6, 0.4], [0.25, 0.75], [0.5, 0.5]], rtol=1e-6)


def test_dice_of_an_assignment_is_that_of_the_pixels():
    rng = np.random.default_rng(0)
    regions, label = rng.integers(0, 4, 500), rng.integers(0, 3, 500)
    chosen = np.array([2, 0, 1, 1])
    expected = dice(chosen[regions], label)
    assert mean_dice(count_classes(regions, label, 4, 3), chosen) == pytest.approx(expected)


def test_rare_classes_lose_a_vote_and_win_by_dice():
    counts = np.array([[90, 0, 0], [40, 30, 5], [30, 0, 20]])
    np.testing.assert_array_equal(majority(counts), [0, 0, 0])
    np.testing.assert_array_equal(highest_dice(counts), [0, 1, 2])
    np.testing.assert_array_equal(class_table(counts, highest_dice).argmax(1), [0, 1, 2])
    with pytest.raises(UserError, match=r"model\.assign=dice: 12 regions .* model\.assign=vote"):
        highest_dice(np.ones((12, 3)))


def test_the_channel_that_shows_the_classes_is_found():
    case = cells((40, 40))
    rng = np.random.default_rng(0)
    image = np.concatenate([rng.normal(0, 3, (1, 40, 40)), case.image, rng.normal(0, 3, (1, 40, 40))]).astype(
        np.float32
    )
    hidden = TrainingCase(image, case.label, case.spacing)
    np.testing.assert_array_equal(fitted(Otsu, hidden).learnt.weights, [0, 1, 0])
    assert dice(predict(fitted(Otsu, hidden, channel=1), hidden), case.label) > 0.95
    assert dice(predict(fitted(Otsu, hidden, channel="mean"), hidden), case.label) < 0.8


def test_principal_component():
    rng = np.random.default_rng(0)
    direction = np.array([0.6, 0.0, 0.8])
    image = (direction[:, None, None] * rng.normal(2, 3, (30, 30)) + rng.normal(0, 0.1, (3, 30, 30))).astype(np.float32)
    np.testing.assert_allclose(principal_component([TrainingCase(image, None, ())]), direction, atol=0.02)


def test_largest_region_is_background_whether_bright_or_dark():
    bright, dark = cells((40, 40)), cells((40, 40), dark=True)
    two = [TrainingCase(case.image, (case.label > 0).astype(np.uint8), case.spacing) for case in (bright, dark)]
    assert fitted(Otsu, *two).learnt.rank == "area"
    assert fitted(Otsu, two[0]).learnt.rank == "brightness"
    for case in two:
        assert np.mean(predict(fitted(Otsu, *two), case) == case.label) > 0.9
        assert np.mean(predict(fitted(Otsu, two[0]), case) == case.label) == pytest.approx(
            float(case is two[0]), abs=0.1
        )
