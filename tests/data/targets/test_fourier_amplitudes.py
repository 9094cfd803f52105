"""Fourier amplitudes of contours: golden maps, invariances, the series itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.data.sample import Sample
from segbench.data.targets.fourier_amplitudes import FourierAmplitudes, amplitudes, peel_maps
from segbench.errors import UserError

Contour = np.ndarray


def of(points: Contour, harmonics: int = 8) -> np.ndarray:
    """The amplitudes of one contour."""
    return amplitudes(points.astype(float), np.array([len(points)]), harmonics)[:, 0]


def integrated(points: Contour, harmonics: int) -> np.ndarray:
    """The definition: 2 / L times the integral of r(l) exp(-2 pi i n l / L), in pieces on which r is constant."""
    step = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    end = np.cumsum(step)
    turn = 2j * np.pi * np.arange(1, harmonics + 1)[:, None] / end[-1]
    radius = np.linalg.norm(points - points.mean(axis=0), axis=1)
    pieces = radius * (np.exp(-turn * (end - step)) - np.exp(-turn * end)) / turn
    return np.asarray(2 / end[-1] * np.abs(pieces.sum(axis=1)))


def test_golden_map_of_an_l() -> None:
    """Computed with the authors' program; the outer layer has 22 pixels, the inner one 11."""
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:4] = mask[5:8, 1:8] = True
    inner = np.zeros_like(mask)
    inner[2:7, 2] = inner[5, 3] = inner[6, 3:7] = True
    first, second = peel_maps(mask, 2)
    for found, outer_value, inner_value in ((first, 0.4143, 0.0894), (second, 1.1027, 0.9119)):
        np.testing.assert_allclose(found[mask & ~inner], outer_value, atol=5e-5)
        np.testing.assert_allclose(found[inner], inner_value, atol=5e-5)
        assert not found[~mask].any()


def test_golden_map_of_a_square() -> None:
    mask = np.pad(np.ones((9, 9), bool), 1)
    first, *_, fourth = peel_maps(mask, 4)
    np.testing.assert_allclose(first, 0, atol=1e-12)
    np.testing.assert_allclose(fourth[5, 1:6], [0.7058, 0.5366, 0.3729, 0.2637, 0], atol=5e-5)


def test_a_square_of_side_two() -> None:
    side = np.linspace(0, 2, 5000, endpoint=False)
    low, high = np.zeros_like(side), np.full_like(side, 2)
    sides = [(side, low), (high, side), (2 - side, high), (low, 2 - side)]
    points = np.concatenate([np.stack(one, axis=1) for one in sides])
    expected = np.zeros(8)
    expected[[3, 7]] = 0.17346, 0.03615
    np.testing.assert_allclose(of(points), expected, atol=1e-5)


def test_a_known_series() -> None:
    """Points on a circle of steps, whose distance to the centre is a sum of two cosines."""
    along = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radius = 300 + 1.5 * np.cos(2 * along) + 0.7 * np.sin(5 * along)
    found = of(np.stack([radius * np.cos(along), radius * np.sin(along)], axis=1))
    np.testing.assert_allclose(found, [0, 1.5, 0, 0, 0.7, 0, 0, 0], atol=0.02)


contours = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(size=(seed % 20 + 3, 2)) * 9)


@settings(deadline=None, max_examples=30)
@given(contours, st.integers(0, 30), st.floats(0.1, 9), st.floats(0, 6.28))
def test_invariances(points: Contour, shift: int, scale: float, angle: float) -> None:
    expected = of(points)
    np.testing.assert_allclose(expected, integrated(points, 8), atol=1e-9)
    np.testing.assert_allclose(of(np.roll(points, shift, axis=0)), expected, atol=1e-9)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(of(points @ turn.T + [7, -3]), expected, atol=1e-9)
    np.testing.assert_allclose(of(points * scale), scale * expected, atol=1e-9)


def test_contours_do_not_see_each_other() -> None:
    rng = np.random.default_rng(0)
    several = [rng.normal(size=(count, 2)) for count in (5, 1, 2, 9)]
    found = amplitudes(np.concatenate(several), np.array([5, 1, 2, 9]), 3)
    np.testing.assert_allclose(found.T, [of(one, 3) for one in several], atol=1e-12)
    assert not found[:, 1].any()  # a single point


def test_every_pixel_of_a_ring_is_peeled() -> None:
    """Inner contours, too: a ring of four pixels has two rounds, the outer and the inner half."""
    rows, columns = np.indices((40, 60))
    distance = np.hypot(rows - 20, (columns - 30) / 1.4)
    found = peel_maps((distance < 14) & (distance > 9), 2)[1]
    assert ((found > 0) == ((distance < 14) & (distance > 9))).all()


def test_target() -> None:
    label = np.zeros((30, 30), np.uint8)
    label[2:12, 3:9], label[15:20, 4:28], label[25:28, 25:28] = 1, 2, 255
    sample = Sample(np.zeros((1, 30, 30), np.float32), label)
    found = FourierAmplitudes(3)(sample)
    assert (found.shape, found.dtype) == ((3, 30, 30), np.float32)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(found[1].std(), 1, atol=1e-6)
    background = found[1][label == 0]
    assert np.ptp(background) == 0
    assert (found[1][label == 255] == background[0]).all()
    second = FourierAmplitudes(2, classes=[2])(sample)[1]
    assert (second[label == 1] == second[0, 0]).all()
    assert (second[15, 4:28] != second[0, 0]).all()


@pytest.mark.parametrize("label", [np.zeros((8, 8), np.uint8), np.pad(np.ones((9, 9), np.uint8), 3)])
def test_where_all_amplitudes_are_alike_they_are_zero(label: np.ndarray) -> None:
    """Nothing there, or a square, whose first amplitude is 0: what rounding leaves is not blown up."""
    found = FourierAmplitudes(1)(Sample(label[None].astype(np.float32), label))
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_volumes_are_refused() -> None:
    label = np.ones((4, 4, 4), np.uint8)
    with pytest.raises(UserError, match=r"contours, in two dimensions"):
        FourierAmplitudes()(Sample(label[None].astype(np.float32), label))
