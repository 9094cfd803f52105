"""The criterion that chooses a checkpoint: directions, numbers that are none, and records of earlier versions."""

import math

import pytest

from segbench.runs.criterion import Criterion, best_score

DICE, HD95 = Criterion(), Criterion(("hd95",), "smaller")


def test_better_is_a_matter_of_the_direction():
    assert DICE.better(0.8, 0.7)
    assert not DICE.better(0.7, 0.7)
    assert HD95.better(3, 4)
    assert not HD95.better(4, 3)
    assert (DICE.best([0.1, 0.3, 0.2]), HD95.best([3, 1, 2])) == (0.3, 1)
    assert (DICE.mode, HD95.mode) == ("max", "min")


@pytest.mark.parametrize("criterion", [DICE, HD95])
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_never_better(criterion, odd):
    assert not criterion.better(odd, 0.5)
    assert criterion.better(0.5, odd)
    assert criterion.best([odd, 0.5]) == 0.5
    assert criterion.best([odd]) is None
    assert best_score({"training": {"best_score": odd}}) is None


def test_a_gap_above_zero_is_a_better_score_of_the_training_cases():
    assert DICE.gap(train=0.9, validation=0.7) == pytest.approx(0.2)
    assert HD95.gap(train=2, validation=5) == 3


def test_what_is_recorded_is_read_again():
    both = Criterion(("dice", "nsd"), "larger")
    assert Criterion.of({"chosen_by": both.as_json}) == both
    assert (both.key, both.label) == ("score", "mean of dice and nsd")
    assert (HD95.key, HD95.label) == ("hd95", "hd95")


def test_runs_of_earlier_versions_were_chosen_by_dice():
    record = {"training": {"best_dice": 0.75}}
    assert Criterion.of(record) == DICE
    assert best_score(record) == 0.75
    assert best_score({}) is None
