"""The tissue drawn by code: the same everywhere, and of classes that only several scales together tell apart."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

from segbench.data.case import Case
from segbench.data.datasets.synthetic_tissue import SyntheticTissue
from segbench.errors import UserError
from segbench.models.centre_view import centre_view
from tests.made_runs import execute


@pytest.fixture(scope="module")
def dataset() -> SyntheticTissue:
    return SyntheticTissue(cases=12, size=[256, 224], scale=0.25, seed=0)


def test_classes_are_about_as_frequent_and_lie_in_large_regions(cases: list[Case]) -> None:
    labels = np.stack([case.label for case in cases if case.label is not None])
    shares = np.bincount(labels.ravel(), minlength=4) / labels.size
    assert (shares > 0.15).all()
    assert (labels[:, 1:] != labels[:, :-1]).mean() < 0.02


def test_colour_and_density_tell_nothing(cases: list[Case]) -> None:
    images = np.stack([case.image - case.image.mean((1, 2), keepdims=True) for case in cases])
    labels = np.stack([case.label for case in cases if case.label is not None])
    pixels = [np.moveaxis(images, 1, 0)[:, labels == value] for value in range(4)]
    means, deviations = (np.stack([getattr(one, what)(axis=1) for one in pixels]) for what in ("mean", "std"))
    assert (np.ptp(means, axis=0) < 0.2 * deviations.min(axis=0)).all()


def test_everything_but_the_grain_grows_with_the_scale() -> None:
    """Regions twice as large have half the borders."""
    borders = []
    for scale in (0.25, 0.5):
        drawn = SyntheticTissue(cases=8, size=[256, 256], scale=scale, seed=0)
        labels = np.stack([drawn.load(record).label for record in drawn.records()])
        borders.append((labels[:, 1:] != labels[:, :-1]).mean())
    assert borders[1] == pytest.approx(borders[0] / 2, rel=0.35)


def texture(view: np.ndarray) -> list[float]:
    """What a small texture descriptor sees of a view: power and direction in bands of frequency."""
    found = []
    for sigma in (1, 2, 4, 8):
        smooth = ndimage.gaussian_filter(view, sigma)
        down, right = np.gradient(smooth)
        yy, xx, yx = (down * down).mean(), (right * right).mean(), (down * right).mean()
        found += [(view - smooth).std(), np.hypot(yy - xx, 2 * yx) / (yy + xx + 1e-9)]
    return found


def test_a_narrow_view_tells_grain_a_wide_one_arrangement_and_both_together_the_class(cases: list[Case]) -> None:
    """A random forest on patches of 128 pixels, seen by methods A (all of it, at half the size) and D (16 pixels)."""
    rng = np.random.default_rng(0)
    features: dict[int, list[list[float]]] = {1: [], 8: []}
    classes = []
    for case in cases:
        assert case.label is not None
        grey = case.image.mean(axis=0)
        padded = np.pad((grey - grey.mean()) / grey.std(), 64, mode="reflect")
        for y, x in rng.integers(0, case.label.shape, (50, 2)):
            patch = torch.from_numpy(padded[y : y + 128, x : x + 128].astype(np.float32))[None, None]
            for zoom, rows in features.items():
                rows.append(texture(centre_view(patch, 64, zoom)[0, 0].numpy()))
            classes.append(case.label[y, x])
    true, trained = np.array(classes), np.arange(len(classes)) < 9 * 50
    right = {}
    for name, zooms in {"wide": (1,), "narrow": (8,), "both": (1, 8)}.items():
        table = np.hstack([np.array(features[zoom]) for zoom in zooms])
        forest = RandomForestClassifier(50, min_samples_leaf=3, random_state=0).fit(table[trained], true[trained])
        predicted, reference = forest.predict(table[~trained]), true[~trained]
        right[name] = {
            "class": (predicted == reference).mean(),
            "grain": (predicted % 2 == reference % 2).mean(),
            "arrangement": (predicted // 2 == reference // 2).mean(),
        }
    assert right["narrow"]["grain"] > 0.9 > 0.65 > right["wide"]["grain"]
    assert right["wide"]["arrangement"] > 0.75 > 0.7 > right["narrow"]["arrangement"]
    assert right["both"]["class"] > max(right["narrow"]["class"], right["wide"]["class"]) + 0.1


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_networks_with_context_are_better(tmp_path: Path) -> None:
    """Method F (four views) against D (the narrow one), both small and trained alike, in the mean of three seeds.

    About ten minutes; single runs of so few steps differ by 0.1.
    """
    dice: dict[str, list[float]] = {"context_f": [], "context_d": []}
    for name, seed in itertools.product(dice, (0, 1, 2)):
        directory = execute(
            tmp_path / f"{name}-{seed}", f"model={name}", f"seed={seed}", "data=synthetic_tissue", "data.workers=0",
            "data.dataset.cases=30", "data.batch_size=32", "model.width=16", "model.features=128", "augmentation=flips",
            "optimizer.lr=1e-3", "inference.stride=16", "metrics=overlap", "logger=none", "trainer=cpu",
            "trainer.precision=32-true", "trainer.max_steps=400", "trainer.validate_every=400", "trainer.gap_cases=0",
            "trainer.progress=false", tiny=False,
        )  # fmt: skip
        rows = pd.read_csv(directory.cases)
        dice[name].append(rows[rows["metric"] == "dice"].groupby("class")["value"].mean().mean())
    assert np.mean(dice["context_f"]) > np.mean(dice["context_d"]) + 0.05, dice


@pytest.mark.parametrize("wrong", [{"size": [16, 64]}, {"cases": 0}, {"scale": 0.01}])
def test_impossible_values(wrong: dict) -> None:
    with pytest.raises(UserError, match=r"expected are at least 1 case|scale=0.01: must be from 0.1 to 4"):
        SyntheticTissue(**{"cases": 1, "size": [64, 64], "scale": 0.25, "seed": 0, **wrong})
