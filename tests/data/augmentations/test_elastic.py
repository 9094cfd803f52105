"""Displacement fields: the papers' formulas, nothing at strength zero, smooth."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import NdBSpline
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate

from segbench.data.augmentations.elastic import ControlPoints, Elastic, SmoothedNoise
from segbench.data.resample import along_axes, cubic_matrix, gaussian_matrix

SIZES = {2: (12, 9), 3: (7, 4, 6)}
dimensions = st.sampled_from((2, 3))
seeds = st.integers(0, 2**32)
EVERY: list[Elastic] = [ControlPoints(10), ControlPoints(8, 4, "spline"), SmoothedNoise((0, 200), (9, 13))]


@pytest.mark.parametrize("elastic", EVERY, ids=str)
@pytest.mark.parametrize("size", [(40, 30), (12, 20, 16), (1, 5)])
def test_field_is_decided_by_the_generator(elastic: Elastic, size: tuple[int, ...]) -> None:
    field = elastic(size, np.random.default_rng(3))
    assert field.shape == (len(size), *size)
    assert field.dtype == np.float32
    np.testing.assert_array_equal(field, elastic(size, np.random.default_rng(3)))
    assert not np.array_equal(field, elastic(size, np.random.default_rng(4)))


@pytest.mark.parametrize(
    "elastic", [ControlPoints(0), ControlPoints(0, 4, "spline"), SmoothedNoise((0, 0), (9, 13))], ids=str
)
def test_strength_zero_is_nothing(elastic: Elastic) -> None:
    np.testing.assert_array_equal(elastic((40, 30), np.random.default_rng(0)), 0)


@given(st.integers(2, 6), seeds)
def test_bicubic_is_pytorchs(points: int, seed: int) -> None:
    """Ronneberger et al. 2015: displacements of a coarse grid, per pixel by bicubic interpolation."""
    control = np.random.default_rng(seed).normal(0, 10, (2, points, points)).astype(np.float32)
    field = ControlPoints(10, points, "bicubic").enlarge(control, (33, 17))
    expected = interpolate(torch.from_numpy(control)[None], (33, 17), mode="bicubic", align_corners=True)[0]
    np.testing.assert_allclose(field, expected, atol=1e-4)


def test_bicubic_goes_through_the_points_which_span_the_patch() -> None:
    control = np.random.default_rng(0).normal(0, 10, (3, 3, 3, 3)).astype(np.float32)
    field = ControlPoints(10).enlarge(control, (9, 17, 33))
    np.testing.assert_allclose(field[:, ::4, ::8, ::16], control, atol=1e-4)


def test_deviation_of_the_points() -> None:
    """At the corners of the patch, where the field is that of a point."""
    corners = [
        ControlPoints(10)((64, 64), np.random.default_rng(seed))[:, [0, 0, -1], [0, -1, 0]] for seed in range(400)
    ]
    assert np.std(corners) == pytest.approx(10, rel=0.05)
    assert np.mean(corners) == pytest.approx(0, abs=0.6)


@given(dimensions, st.integers(2, 6), seeds)
def test_spline_is_scipys(dims: int, points: int, seed: int) -> None:
    control = np.random.default_rng(seed).normal(0, 10, (dims, *(points,) * dims)).astype(np.float32)
    field = ControlPoints(10, points, "spline").enlarge(control, SIZES[dims])
    degree = min(3, points - 1)
    knots = np.concatenate([np.zeros(degree), np.linspace(0, 1, points - degree + 1), np.ones(degree)])
    spline = NdBSpline((knots,) * dims, np.moveaxis(control, 0, -1).astype(float), degree)
    where = np.meshgrid(*((np.arange(size) + 0.5) / size for size in SIZES[dims]), indexing="ij")
    np.testing.assert_allclose(np.moveaxis(field, 0, -1), spline(np.stack(where, axis=-1)), atol=1e-4)
    assert np.abs(field).max() <= np.abs(control).max() + 1e-4


@given(dimensions, st.integers(2, 6), st.sampled_from(("bicubic", "spline")), st.floats(-20, 20))
def test_even_displacement_is_a_shift(dims: int, points: int, interpolation: str, by: float) -> None:
    control = np.full((dims, *(points,) * dims), by, np.float32)
    field = ControlPoints(1, points, interpolation).enlarge(control, SIZES[dims])
    np.testing.assert_allclose(field, by, atol=1e-4)


@pytest.mark.parametrize("elastic", [*EVERY[:2], SmoothedNoise((200, 200), (11, 11))], ids=str)
def test_fields_are_smooth(elastic: Elastic) -> None:
    """Neighbouring pixels stay in their order: nothing folds."""
    for seed in range(20):
        field = elastic((256, 256), np.random.default_rng(seed))
        assert np.abs(field).max() > 3
        assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (1, 2)) < 1
        assert max(np.abs(np.diff(field, 2, axis=axis)).max() for axis in (1, 2)) < 0.2


@given(dimensions, seeds, st.floats(0.3, 13))
def test_smoothed_noise_is_simards(dims: int, seed: int, sigma: float) -> None:
    """alpha * gaussian(U(-1, 1), sigma), zero beyond the patch."""
    field = SmoothedNoise((150, 150), (sigma, sigma))(SIZES[dims], np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    rng.uniform(size=2)
    noise = 2 * rng.random(field.shape, dtype=np.float32).astype(float) - 1
    expected = [150 * gaussian_filter(one, sigma, mode="constant", truncate=4.0) for one in noise]
    np.testing.assert_allclose(field, expected, atol=1e-3)


def test_strength_of_smoothed_noise() -> None:
    fields = [SmoothedNoise((100, 100), (5, 5))((128, 128), np.random.default_rng(seed)) for seed in range(10)]
    assert np.std([field[:, 20:-20, 20:-20] for field in fields]) == pytest.approx(0.163 * 100 / 5, rel=0.1)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_enlarging_pixels_is_pytorchs(few: int, many: int, columns: int) -> None:
    image = np.random.default_rng(few).normal(size=(1, few, columns)).astype(np.float32)
    enlarged = along_axes(image, [cubic_matrix(few, many, False), cubic_matrix(columns, columns, False)])
    expected = interpolate(torch.from_numpy(image)[None], (many, columns), mode="bicubic")[0]
    np.testing.assert_allclose(enlarged, expected, atol=1e-4)


@given(st.integers(1, 60), st.floats(0.3, 20))
def test_gaussian_matrix_is_scipys(size: int, sigma: float) -> None:
    line = np.random.default_rng(size).normal(size=size)
    expected = gaussian_filter(line, sigma, mode="constant", truncate=4.0)
    np.testing.assert_allclose(gaussian_matrix(size, sigma) @ line, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ControlPoints(8, 1), "points=1: must be at least 2"),
        (lambda: ControlPoints(8, 3, "linear"), "interpolation=linear: must be one of bicubic, spline"),
        (lambda: SmoothedNoise((0, 200), (0, 13)), r"sigma=\[0, 13\]: must be"),
    ],
)
def test_impossible_fields(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
