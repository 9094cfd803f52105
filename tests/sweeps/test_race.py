"""A race: what it asks for, what it decides, and how often it is wrong."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra.types import RunMode
from scipy import stats

from segbench.compare.statistics.sequential import certainly_better, e_values
from segbench.errors import UserError
from segbench.sweeps.race.decisions import Rules
from segbench.sweeps.race.entries import parse_field
from segbench.sweeps.race.race import Race
from tests.sweeps.searches import Launcher, Outcome, finished, hydra_context

MODELS = "model=unet_small,segresnet,fcn8s_small,segnet_small"
DICE = {"unet_small": 0.90, "segresnet": 0.86, "fcn8s_small": 0.80, "segnet_small": 0.70}


def race(folder: Path, outcome: Outcome, *overrides: str) -> Launcher:
    """Executes a race as the command would; returns its launcher."""
    context = hydra_context()
    of_hydra = [one for one in overrides if one.startswith("hydra")]
    typed = [one for one in overrides if one not in of_hydra]
    config = context.config_loader.load_configuration(
        "train", ["hydra/sweeper=race", f"hydra.sweep.dir={folder}", *of_hydra, *typed], RunMode.MULTIRUN
    )
    one = Race(**{key: value for key, value in config.hydra.sweeper.items() if not key.startswith("_")})
    launcher = Launcher(context, config, outcome)
    one.context, one.config, one.launcher = context, config, launcher
    one.sweep(typed)
    return launcher


def noisy(config) -> dict:
    """The score of a model, and of the seed and fold that all models share, and a little of its own."""
    model = config.hydra.runtime.choices.model
    rng = np.random.default_rng([config.seed, config.fold, sorted(DICE).index(model)])
    shared = 0.1 * math.sin(10 * config.seed + config.fold)
    return finished(DICE[model] + shared + 0.01 * rng.standard_normal())


def test_the_mixture_is_the_ratio_of_its_integrals():
    """By quadrature: the likelihood over mean and deviation, each with its prior, over that of a mean of 0."""
    x, effect = np.array([0.4, -0.1, 0.7, 0.9]), 1.5

    sigma, delta = np.geomspace(0.02, 60, 800)[:, None], np.linspace(-15, 15, 3001)

    def likelihood(delta):
        return np.exp(stats.norm.logpdf(x[:, None, None], delta * sigma, sigma).sum(axis=0)) / sigma

    above = np.trapezoid(likelihood(delta) * stats.norm.pdf(delta, 0, effect), delta, axis=1)
    below = likelihood(np.zeros(1))[:, 0]
    above, below = (np.trapezoid(values, sigma[:, 0]) for values in (above, below))
    found = e_values(x, effect)
    assert found[-1] == pytest.approx(above / below, rel=1e-3)
    assert found[0] == pytest.approx(1.0)
    assert e_values(1000 * x, effect) == pytest.approx(found)


@pytest.mark.parametrize("mean", [0.0, -0.3])
def test_one_may_look_as_often_as_one_likes(mean):
    rng = np.random.default_rng(0)
    wrong = sum(certainly_better(rng.normal(mean, 1, 40), alpha=0.1) for _ in range(1000))
    assert wrong / 1000 <= 0.1


def test_no_difference_is_no_evidence():
    assert (e_values(np.zeros(5)) <= 1).all()
    assert not certainly_better([], 0.05)
    assert certainly_better([0.1] * 10, 0.05)
    assert not certainly_better([-0.1] * 10, 0.05)


@pytest.mark.parametrize("decide", ["winner", 2, "order"])
def test_clear_gaps_are_decided_early_and_rightly(decide):
    """Four methods on ten blocks, in a simulation: gaps of four deviations, and none between the last two."""
    rng, rules = np.random.default_rng(1), Rules(decide)
    means = np.array([4.0, 0.0, -4.0, -8.0]) if decide == "order" else np.array([4.0, 0.0, -4.0, -4.0])
    used, right = [], 0
    for _ in range(100):
        drawn = means[:, None] + rng.normal(size=(4, 10)) / math.sqrt(2) + rng.normal(size=10)
        scores = np.full((4, 10), math.nan)
        for block in range(10):
            racing = rules.racers(scores)
            scores[racing, block] = drawn[racing, block]
        states, better = rules.states(scores), rules.better(scores)
        right += bool(
            not np.tril(better).any() if decide == "order" else states[0] != "out" and (decide == 1 or better[0, 3])
        )
        used.append(np.isfinite(scores).mean())
    assert right / 100 >= 0.95
    assert np.mean(used) <= (0.6 if decide == "winner" else 0.9)


def test_equal_methods_stay_to_the_end():
    rng = np.random.default_rng(2)
    kept = sum(Rules("winner").states(rng.normal(size=(4, 10)))[0] != "out" for _ in range(400))
    assert kept / 400 >= 0.95


def test_methods_leave_and_the_winner_is_that_of_the_grid(tmp_path, caplog):
    caplog.set_level("INFO")
    launcher = race(tmp_path, noisy, MODELS, "seed=0,1,2,3,4", "fold=0,1")
    sizes = [len(batch) for batch in launcher.batches]
    assert sizes[0] == 4
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) <= 0.6 * 40
    assert [job[-2:] for job in launcher.batches[1]] == [["seed=0", "fold=1"]] * 4  # folds first
    found = pd.read_csv(tmp_path / "race.csv")
    assert len(found) == sum(sizes)
    assert set(found[found["state"] == "in"]["method"]) == {"model=unet_small"}
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")
    said = (tmp_path / "race.txt").read_text()
    assert f"{sum(sizes)} of the 40 runs of the full grid were needed" in said
    assert "model=unet_small: the best of 4, with 95% certainty" in said
    assert "model=unet_small: the best of 4" in caplog.text
    again = race(tmp_path, noisy, MODELS, "seed=0,1,2,3,4", "fold=0,1")
    assert again.asked == launcher.asked
    assert pd.read_csv(tmp_path / "race.csv").equals(found)


def test_a_distance_wins_where_it_is_smallest(tmp_path):
    def distance(config) -> dict:
        return finished(10 - noisy(config)["training"]["best_score"])

    race(tmp_path, distance, "model=unet_small,segnet_small", "seed=0,1,2", "fold=0,1", "metrics.choose_by=hd95")
    found = pd.read_csv(tmp_path / "race.csv")
    assert set(found[found["state"] == "in"]["method"]) == {"model=unet_small"}


def test_a_failed_method_leaves_and_the_rest_goes_on(tmp_path):
    def outcome(config) -> dict:
        if config.hydra.runtime.choices.model == "unet_small" and config.seed == 1:
            return {"status": "failed", "error": "out of memory"}
        return noisy(config)

    launcher = race(tmp_path, outcome, MODELS, "seed=0,1,2", "fold=0,1")
    assert len(launcher.batches[3]) < 4
    said = (tmp_path / "race.txt").read_text()
    assert "model=unet_small left: out of memory" in said
    assert "model=segresnet: the best of 4" in said


def test_several_blocks_at_once_and_a_budget(tmp_path):
    launcher = race(
        tmp_path, noisy, MODELS, "seed=0,1,2,3,4", "fold=0,1", "hydra.sweeper.at_once=5", "hydra.sweeper.runs=21"
    )
    assert [len(batch) for batch in launcher.batches] == [20]
    undecided = race(tmp_path / "b", noisy, MODELS, "seed=0,1,2,3,4", "hydra.sweeper.runs=8")
    assert [len(batch) for batch in undecided.batches] == [4, 4]
    assert "undecided:" in (tmp_path / "b" / "race.txt").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=0,1"], "there is one method"),
        ([MODELS], "methods meet on several seeds or folds"),
        ([MODELS, "seed=0,1", "hydra.sweeper.decide=4"], "must be below the number of methods, 4"),
        (["model=unet_small", "data=synthetic_cells,synthetic_tissue", "seed=0,1"], "on one data set"),
        (["metrics.choose_by=dice,iou", "seed=0,1"], "by the same metrics"),
    ],
)
def test_what_is_no_race(tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        race(tmp_path / "races" / "one", noisy, *overrides)
    assert not list(tmp_path.iterdir())


def test_the_later_override_counts():
    field = parse_field(["seed=0,1", "model=a,b", "model=c,d", "optimizer.lr=1e-3", "fold=0,1"])
    assert field.fixed == ("optimizer.lr=1e-3",)
    assert [field.name(number) for number in range(2)] == ["model=c", "model=d"]
    assert [field.block_name(number) for number in range(4)] == [
        "seed=0 fold=0", "seed=0 fold=1", "seed=1 fold=0", "seed=1 fold=1",
    ]  # fmt: skip
    assert field.overrides(1, 2) == ["optimizer.lr=1e-3", "model=d", "seed=1", "fold=0"]
