"""Plans: differences that are found as often as it is said, by simulation; components of variance that were put in."""

import numpy as np
import pytest

from segbench.compare.statistics.components import components
from segbench.compare.statistics.effects import mean_effects
from segbench.compare.statistics.planning import (
    Chance,
    cases_needed,
    detectable,
    resolution,
    seeds_needed,
    seeds_to_find,
)
from segbench.compare.statistics.units import Contributions
from segbench.compare.statistics.variance import seed_variance
from tests.compare.fake_scores import make_scores


def share_found(chance, difference, cases, seeds, rng, times=800):
    """The share of simulated pairs of methods whose difference the test of the comparison finds."""
    pairs = np.triu_indices(2, k=1)
    found = 0
    for _ in range(times):
        own = rng.normal(0, chance.cases, cases) / 2
        shifts = rng.normal(0, chance.seeds, (2, seeds, 1))
        scores = shifts + rng.normal(0, chance.rest, (2, seeds, cases)) + np.stack([own, -own])[:, None]
        scores[0] += difference
        of_seeds = seed_variance(scores.mean(axis=2), pairs) if chance.seeds else None
        effects = mean_effects(Contributions.of(scores.mean(axis=1), None), pairs, 0.95, of_seeds)
        found += effects.p[0] < 0.05
    return found / times


@pytest.mark.parametrize(
    ("chance", "cases", "seeds"), [(Chance(0.03, 0.0, 0.0), 60, 1), (Chance(0.03, 0.01, 0.004), 40, 5)]
)
def test_a_difference_is_found_as_often_as_planned(chance, cases, seeds):
    rng = np.random.default_rng(0)
    least = detectable(chance, cases, seeds)
    assert share_found(chance, least, cases, seeds, rng) == pytest.approx(0.8, abs=0.06)
    assert share_found(chance, 0.0, cases, seeds, rng) <= 0.065


def test_the_cases_and_seeds_that_a_difference_takes():
    chance = Chance(0.03, 0.01, 0.004)
    cases = cases_needed(chance, 0.012, 5)
    assert detectable(chance, cases, 5) <= 0.012 < detectable(chance, cases - 1, 5)
    seeds = seeds_to_find(chance, 0.012, 100)
    assert detectable(chance, 100, seeds) <= 0.012 < detectable(chance, 100, seeds - 1)
    assert cases_needed(chance, 0.001, 2) is None
    assert seeds_to_find(Chance(0.03, 0.0, 0.0), 0.001, 10) is None
    assert resolution(Chance(0.001, 0.0, 0.1), 10, 2).endswith("takes 4 seeds of each")
    assert resolution(Chance(0.0316, 0.0, 0.0), 60, 1).endswith("a power of 80 %; one of 0.0058 takes 235 cases")


def test_the_seeds_that_a_gap_takes():
    assert (seeds_needed(0.5), seeds_needed(1.0)) == (4, 9)
    assert seeds_needed(1000.0) is None


def test_components_are_those_that_were_put_in():
    rng = np.random.default_rng(2)
    methods, seeds, cases = 8, 6, 400
    shared = rng.normal(0, 0.10, cases)
    own = rng.normal(0, 0.04, (methods, cases))
    shifts = rng.normal(0, 0.03, (seeds, methods, 1))
    values = 0.7 + shared + own + shifts + rng.normal(0, 0.05, (seeds, methods, cases))
    scores = make_scores(values.mean(axis=0)[None])
    scores = type(scores)(**{**fields(scores), "seeds": values[:, None], "folds": np.arange(cases) % 5})
    found = components(scores, "dice")
    assert found.cases == pytest.approx(np.sqrt(0.1**2 + 0.04**2), rel=0.1)
    assert found.seeds == pytest.approx(0.03, rel=0.25)
    assert found.rest == pytest.approx(0.05, rel=0.05)
    assert found.folds < 0.02
    assert found.chance.cases == pytest.approx(0.04 * np.sqrt(2), rel=0.1)
    assert found.spread == pytest.approx(np.sqrt(0.1**2 + 0.04**2 + 0.05**2 / 6), rel=0.1)
    assert found.correlation == pytest.approx(0.1**2 / found.spread**2, abs=0.05)


def fields(scores):
    names = [name for name in scores.__dataclass_fields__ if name != "grouped"]
    return {name: getattr(scores, name) for name in names}


def test_a_shift_of_a_fold_is_seen():
    rng = np.random.default_rng(0)
    folds = np.repeat(np.arange(10), 30)
    values = rng.normal(0.7, 0.02, (1, 3, 300)) + rng.normal(0, 0.05, 10)[folds]
    scores = make_scores(values)
    found = components(type(scores)(**{**fields(scores), "folds": folds}), "dice")
    assert found.folds == pytest.approx(0.05, rel=0.4)
    assert np.isnan(found.seeds)
    assert components(make_scores(values[:, :, :2]), "dice") is None
