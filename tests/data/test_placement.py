"""Where training patches are cut: evenly, by share of foreground or by class, and in which case."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from segbench.data.case import IGNORE
from segbench.data.placement import CentreByClass
from tests.data.arrays import ArrayCase, coordinate_case, random_case
from tests.data.samplers import sampler


def test_small_image_is_in_the_middle_of_the_patch() -> None:
    case = random_case(np.random.default_rng(0), (6, 30))
    for k in range(20):
        sample = sampler([case], (11, 8))[k]
        np.testing.assert_array_equal(sample["mask"][:3] == IGNORE, True)
        np.testing.assert_array_equal(sample["mask"][3:9] == IGNORE, False)
        np.testing.assert_array_equal(sample["mask"][9:] == IGNORE, True)


def test_places_are_uniform() -> None:
    """Without foreground, every place where the patch fits is as likely as the others."""
    case = coordinate_case(np.random.default_rng(0), (8, 6))
    source = sampler([case], (4, 4), foreground=0.0)
    corners = Counter(tuple(source[k]["image"][:, 0, 0].int().tolist()) for k in range(3000))
    assert set(corners) == set(itertools.product(range(5), range(3)))
    assert sum((count - 200) ** 2 / 200 for count in corners.values()) < 36  # chi squared, 14 degrees: p = 0.001


def test_share_of_foreground() -> None:
    """Patches centred on foreground, evenly from the classes present, are as many as asked for."""
    shape = (200, 200)
    label = np.zeros(shape, np.uint8)
    label[60:100, 60:100] = 1
    label[150, 150] = 2
    case = ArrayCase(np.indices(shape, dtype=np.float32), label, None, (1.0, 1.0))
    source = sampler([case], (3, 3), foreground=0.4)
    centres = Counter(int(source[k]["mask"][1, 1]) for k in range(2000))
    assert centres[2] / 2000 == pytest.approx(0.2, abs=0.03)
    assert centres[1] / 2000 == pytest.approx(0.2 + 0.6 * 0.04, abs=0.03)


def test_without_background_every_class_is_foreground() -> None:
    label = np.zeros((50, 50), np.uint8)
    label[25, 25] = 1
    case = ArrayCase(np.zeros((1, 50, 50), np.float32), label, None, (1.0, 1.0))
    for background, share in ((0, 1.0), (None, 0.5)):
        source = sampler([case], (3, 3), foreground=1.0, background=background)
        centres = [int(source[k]["mask"][1, 1]) for k in range(400)]
        assert np.mean(centres) == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize("patch", [(4, 6), (5, 7)])
def test_wanted_pixel_is_in_the_patch(patch: tuple[int, int]) -> None:
    """In its middle, except that the patch stays inside the image."""
    for row, column in itertools.product((0, 1, 9, 18, 19), repeat=2):
        label = np.zeros((20, 20), np.uint8)
        label[row, column] = 1
        sample = sampler([ArrayCase(np.zeros((1, 20, 20)), label, None, (1.0, 1.0))], patch, foreground=1.0)[0]
        found = np.argwhere(sample["mask"].numpy() == 1).tolist()
        expected = [min(max(at - size // 2, 0), 20 - size) for at, size in zip((row, column), patch, strict=True)]
        assert found == [[row - expected[0], column - expected[1]]]


def test_centres_are_drawn_evenly_by_class() -> None:
    """Whatever the classes' sizes, and in how few cases they are; the pixel drawn is the target's."""
    common, rare = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
    common[3:5] = 1
    rare[0, 0] = 2  # at the corner: most of its patch lies outside
    cases = [ArrayCase(np.zeros((1, 20, 30)), label, None, (1.0, 1.0), str(k)) for k, label in enumerate([common] * 4)]
    cases.append(ArrayCase(np.zeros((1, 20, 30)), rare, None, (1.0, 1.0), "rare"))
    for patch in [(8, 8), (7, 9), (40, 50)]:
        source = sampler(cases, patch, placement=CentreByClass())
        samples = [source[k]["mask"] for k in range(600)]
        middle = tuple((size - 1) // 2 for size in patch)
        drawn = Counter(int(target[middle]) for target in samples)
        assert set(drawn) == {0, 1, 2}
        assert all(150 < count < 250 for count in drawn.values())
        assert all(target[0, 0] == IGNORE for target in samples if target[middle] == 2)


def test_case_without_foreground_is_read_anywhere() -> None:
    case = coordinate_case(np.random.default_rng(0), (20, 20))
    case = replace(case, label=np.zeros((20, 20), np.uint8))
    source = sampler([case], (4, 4), foreground=1.0)
    assert len({tuple(source[k]["image"][:, 0, 0].tolist()) for k in range(50)}) > 30


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_case_is_drawn_once_in_a_round(count: int) -> None:
    cases = [random_case(np.random.default_rng(n), (5, 5), f"case{n}") for n in range(count)]
    source = sampler(cases, (4, 4))
    rounds = [[source[round_ * count + turn]["case_id"] for turn in range(count)] for round_ in range(20)]
    assert all(sorted(names) == sorted(source.cases.ids) for names in rounds)
    assert count < 7 or len({tuple(names) for names in rounds}) > 15
