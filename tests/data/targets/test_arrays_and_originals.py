"""Targets see the sample: the image as it was, label maps and weights that are arrays."""

from typing import Any

import numpy as np
import pytest

from segbench.data.augmentations.colour import HistogramMatching
from segbench.data.augmentations.pipeline import Augmentation, Noise
from segbench.data.sample import Sample
from segbench.data.targets import ArrayLabel, ArrayWeight, original
from segbench.errors import UserError
from tests.data.arrays import ArrayCase, random_case
from tests.data.samplers import EVERYTHING, sampler


def halved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(image / 2, np.float32)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"intensity": {"noise": Noise(1.0, (0.5, 0.5))}},
        {"colour": {"half": halved}},
        {"colour": {"half": halved}, "intensity": {"noise": Noise(1.0, (0.5, 0.5))}},
        {"matching": HistogramMatching(1.0)},
    ],
)
def test_the_original_is_turned_and_bent_alike_and_otherwise_unchanged(changes: dict[str, Any]) -> None:
    """Against the same sampler without changes of colour and intensity, which draws the same transform before."""
    rng = np.random.default_rng(0)
    cases = [random_case(rng, (30, 34), f"case{number}") for number in range(3)]
    plain = sampler(cases, (16, 20), augmentation=Augmentation(EVERYTHING))
    changed = sampler(cases, (16, 20), augmentation=Augmentation(EVERYTHING, **changes), targets={"restored": original})
    for k in range(8):
        np.testing.assert_array_equal(changed[k]["restored"], plain[k]["image"])
    same = [np.array_equal(changed[k]["image"], plain[k]["image"]) for k in range(8)]
    assert not all(same) if changes else all(same)  # a case can get its own histogram


def patch(label: np.ndarray, **arrays: np.ndarray) -> Sample:
    return Sample(label[None].astype(np.float32), label, arrays=arrays)


def test_arrays_as_targets_and_weights() -> None:
    label = np.array([[0, 1, 255]], np.uint8)
    sample = patch(label, second=np.array([[1, 255, 1]], np.uint8), weights=np.array([[2.0, 0.0, 3.0]]))
    classes = ArrayLabel("second")(sample)
    assert classes.dtype == np.int64
    np.testing.assert_array_equal(classes, [[1, 255, 255]])
    weight = ArrayWeight("weights")(sample)
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, [[2, 0, 0]])
    np.testing.assert_array_equal(sample.arrays["weights"], [[2, 0, 3]])


def test_arrays_that_do_not_fit_are_refused() -> None:
    label = np.zeros((2, 3), np.uint8)
    with pytest.raises(UserError, match=r"has no array 'second', there are weights; declare it"):
        ArrayLabel("second")(patch(label, weights=np.ones((2, 3))))
    with pytest.raises(UserError, match=r"has no array 'weights', it has none"):
        ArrayWeight("weights")(patch(label))
    with pytest.raises(UserError, match=r"'weights' has 4 channels; one value per pixel"):
        ArrayWeight("weights")(patch(label, weights=np.ones((4, 2, 3))))
    with pytest.raises(UserError, match=r"'weights' has values below 0, such as -1"):
        ArrayWeight("weights")(patch(label, weights=-np.ones((2, 3))))


def test_a_case_without_arrays_has_none() -> None:
    assert len(ArrayCase(np.zeros((1, 2, 2)), np.zeros((2, 2), np.uint8)).arrays) == 0
