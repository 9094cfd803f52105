"""The random transforms: true to the spacing, in the right direction, and nothing where nothing is asked."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import NdBSpline

from segbench.data.spatial import Spatial, SpatialDraw, bend, offsets

SIZES = {2: (12, 9), 3: (7, 4, 6)}
dimensions = st.sampled_from((2, 3))
seeds = st.integers(0, 2**32)


def draw(spatial: Spatial, dims: int = 2, spacing: tuple[float, ...] | None = None, seed: int = 0) -> SpatialDraw:
    return spatial.draw(SIZES[dims], spacing or (1.0,) * dims, np.random.default_rng(seed))


@settings(deadline=None)
@given(dimensions, seeds, st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_nothing_asked_is_nothing_done(dims: int, seed: int, spacing: list[float]) -> None:
    for spatial in (
        Spatial(),
        Spatial(rotation=0, scaling=(1, 1), translation=0, elastic=0),
        Spatial(0.0, 90, 0.0, (0.5, 2), 0.0, 0.5, 0.0, elastic=9, elastic_probability=0.0),
    ):
        drawn = draw(spatial, dims, tuple(spacing[:dims]), seed)
        assert drawn.on_grid
        assert not any(drawn.flips)
        np.testing.assert_array_equal(drawn.matrix, np.eye(dims))


@settings(deadline=None)
@given(dimensions, seeds, st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_rotation_keeps_lengths_in_millimetres(dims: int, seed: int, spacing: list[float]) -> None:
    size = np.asarray(spacing[:dims])
    drawn = draw(Spatial(rotation=180), dims, tuple(size), seed)
    physical = np.diag(size) @ drawn.matrix @ np.diag(1 / size)
    np.testing.assert_allclose(physical @ physical.T, np.eye(dims), atol=1e-9)
    assert np.linalg.det(physical) == pytest.approx(1)


def test_sphere_in_thick_slices_stays_a_sphere() -> None:
    """Points read for a turned patch have the same distance from its centre as those of the patch."""
    spacing = (5.0, 1.0, 0.5)
    drawn = draw(Spatial(rotation=180), 3, spacing)
    scale = np.reshape(spacing, (3, 1, 1, 1))
    plain = offsets(draw(Spatial(), 3, spacing), SIZES[3])
    turned = offsets(drawn, SIZES[3])
    assert np.abs(turned - plain).max() > 1
    np.testing.assert_allclose(np.linalg.norm(turned * scale, axis=0), np.linalg.norm(plain * scale, axis=0), rtol=1e-5)


def test_angles_are_even_and_no_larger_than_asked() -> None:
    matrices = [draw(Spatial(rotation=30), seed=seed).matrix for seed in range(500)]
    angles = np.degrees([math.atan2(matrix[1, 0], matrix[0, 0]) for matrix in matrices])
    assert 29 < np.abs(angles).max() <= 30
    assert abs(angles.mean()) < 3
    assert angles.std() == pytest.approx(30 / math.sqrt(3), rel=0.1)


def test_zoom_above_one_magnifies() -> None:
    """Pixels of the patch are read closer together: there are more of them per pixel of the image."""
    patch = offsets(draw(Spatial(scaling=(2, 2))), (5, 5))
    np.testing.assert_allclose(patch[0, :, 0], [-1, -0.5, 0, 0.5, 1])


def test_shifts_are_whole_pixels_within_their_range() -> None:
    shifts = np.array([draw(Spatial(translation=0.3), seed=seed).shift for seed in range(300)])
    np.testing.assert_array_equal(shifts, np.rint(shifts))
    np.testing.assert_array_equal(np.abs(shifts).max(axis=0), [4, 3])
    assert draw(Spatial(translation=0.3)).on_grid


def test_probabilities() -> None:
    spatial = Spatial(0.2, 90, 0.5, (0.5, 2), 0.5, 0.5, 0.5, 5, 3, 0.5)
    drawn = [draw(spatial, seed=seed) for seed in range(1000)]
    turned = [not np.allclose(one.matrix, one.matrix[0, 0] * np.eye(2)) for one in drawn]
    zoomed = [not math.isclose(np.linalg.det(one.matrix), 1) for one in drawn]
    shifted = [one.shift.any() for one in drawn]
    bent = [one.control is not None for one in drawn]
    flipped = [one.flips[0] for one in drawn]
    for happened, expected in ((turned, 0.5), (zoomed, 0.5), (shifted, 0.5), (bent, 0.5), (flipped, 0.2)):
        assert np.mean(happened) == pytest.approx(expected, abs=0.06)


@settings(deadline=None)
@given(dimensions, seeds)
def test_offsets_are_the_formula(dims: int, seed: int) -> None:
    spatial = Spatial(rotation=90, scaling=(0.5, 2), translation=0.5, elastic=3, elastic_points=4)
    drawn = draw(spatial, dims, seed=seed)
    computed = offsets(drawn, SIZES[dims])
    assert computed.dtype == np.float32
    assert drawn.control is not None
    field = bend(drawn.control, SIZES[dims])
    for pixel in itertools.product(*map(range, SIZES[dims])):
        from_middle = np.array(pixel) - (np.array(SIZES[dims]) - 1) / 2
        expected = drawn.matrix @ from_middle + drawn.shift + field[:, *pixel]
        np.testing.assert_allclose(computed[:, *pixel], expected, atol=1e-4)


@settings(deadline=None)
@given(dimensions, st.integers(2, 6), seeds)
def test_bend_is_a_spline_of_its_control_points(dims: int, points: int, seed: int) -> None:
    control = np.random.default_rng(seed).normal(0, 10, (dims, *(points,) * dims))
    field = bend(control, SIZES[dims])
    assert field.shape == (dims, *SIZES[dims])
    degree = min(3, points - 1)
    knots = np.concatenate([np.zeros(degree), np.linspace(0, 1, points - degree + 1), np.ones(degree)])
    spline = NdBSpline((knots,) * dims, np.moveaxis(control, 0, -1), degree)
    where = np.meshgrid(*((np.arange(size) + 0.5) / size for size in SIZES[dims]), indexing="ij")
    np.testing.assert_allclose(np.moveaxis(field, 0, -1), spline(np.stack(where, axis=-1)), atol=1e-4)


@settings(deadline=None)
@given(dimensions, st.integers(2, 6), st.floats(-20, 20))
def test_even_bend_is_a_shift(dims: int, points: int, by: float) -> None:
    control = np.full((dims, *(points,) * dims), by)
    np.testing.assert_allclose(bend(control, SIZES[dims]), by, atol=1e-4)


@settings(deadline=None)
@given(seeds)
def test_bend_is_smooth(seed: int) -> None:
    """No pixel is displaced by much more or less than its neighbours: nothing folds."""
    drawn = Spatial(elastic=8, elastic_points=4).draw((256, 256), (1.0, 1.0), np.random.default_rng(seed))
    assert drawn.control is not None
    field = bend(drawn.control, (256, 256))
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (1, 2)) < 1
    assert max(np.abs(np.diff(field, 2, axis=axis)).max() for axis in (1, 2)) < 0.05
    assert np.abs(field).max() <= np.abs(drawn.control).max() + 1e-4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scaling": (0, 1)}, "scaling"),
        ({"scaling": (1.4, 0.7)}, "scaling"),
        ({"elastic_points": 1}, "elastic_points=1: must be at least 2"),
    ],
)
def test_impossible_transforms(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Spatial(**wrong)
