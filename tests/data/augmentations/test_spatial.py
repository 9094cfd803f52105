"""The random transforms: true to the spacing, in the right direction, and nothing where nothing is asked."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.data.augmentations.elastic import ControlPoints
from segbench.data.augmentations.spatial import QuarterTurns, RotationByShape, Spatial, SpatialDraw, flat_axes, offsets
from segbench.errors import UserError

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
        Spatial(rotation=0, scaling=(1, 1), translation=0, elastic=None, distortion=(0, 0)),
        Spatial(0.0, 90, 0.0, (0.5, 2), 0.0, 0.5, 0.0, ControlPoints(9), 0.0, 0.0, (-0.2, 0.2), 0.0),
    ):
        drawn = draw(spatial, dims, tuple(spacing[:dims]), seed)
        assert drawn.on_grid
        assert not any(drawn.flips)
        assert not drawn.turn.times
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
    spatial = Spatial(0.2, 90, 0.5, (0.5, 2), 0.5, 0.5, 0.5, ControlPoints(5), 0.5, 0.4, (-0.2, 0.2), 0.5)
    drawn = [draw(spatial, seed=seed) for seed in range(1000)]
    turned = [not np.allclose(one.matrix, one.matrix[0, 0] * np.eye(2)) for one in drawn]
    zoomed = [not math.isclose(np.linalg.det(one.matrix), 1) for one in drawn]
    shifted = [one.shift.any() for one in drawn]
    bent = [one.bend is not None for one in drawn]
    flipped = [one.flips[0] for one in drawn]
    distorted = [one.distortion != 0 for one in drawn]
    for happened in (turned, zoomed, shifted, bent, distorted):
        assert np.mean(happened) == pytest.approx(0.5, abs=0.06)
    assert np.mean(flipped) == pytest.approx(0.2, abs=0.06)
    for times in (1, 2, 3):
        assert np.mean([one.turn.times == times for one in drawn]) == pytest.approx(0.1, abs=0.04)


def test_each_axis_may_have_its_own_probability_of_being_mirrored() -> None:
    flips = np.array([draw(Spatial(flip=(0, 0.5, 1)), dims=3, seed=seed).flips for seed in range(500)])
    np.testing.assert_allclose(flips.mean(axis=0), [0, 0.5, 1], atol=0.06)


def test_probabilities_of_another_number_of_axes_are_refused() -> None:
    with pytest.raises(UserError, match=r"flip=\[0, 0.5, 0.5\]: .* one for each of the 2 axes"):
        draw(Spatial(flip=[0, 0.5, 0.5]), dims=2)


@settings(deadline=None)
@given(dimensions, seeds)
def test_offsets_are_the_formula(dims: int, seed: int) -> None:
    distortion = (-0.3, 0.3) if seed % 2 else (0.0, 0.0)
    spatial = Spatial(0, 90, 1, (0.5, 2), translation=0.5, elastic=ControlPoints(3, 4), distortion=distortion)
    drawn = draw(spatial, dims, seed=seed)
    computed = offsets(drawn, SIZES[dims])
    assert computed.dtype == np.float32
    assert drawn.bend is not None
    middle = (np.array(SIZES[dims]) - 1) / 2
    for pixel in itertools.product(*map(range, SIZES[dims])):
        from_middle = np.array(pixel) - middle
        factor = 1 + drawn.distortion * (np.linalg.norm(from_middle) / np.linalg.norm(middle)) ** 2
        expected = drawn.matrix @ from_middle * factor + drawn.shift + drawn.bend[:, *pixel]
        np.testing.assert_allclose(computed[:, *pixel], expected, atol=1e-4)


def test_barrel_and_pincushion() -> None:
    """Corners are read as much farther out or farther in as asked; the middle stays."""
    for k in (-0.2, 0.2):
        read = offsets(draw(Spatial(distortion=(k, k))), (11, 21))
        np.testing.assert_allclose(read[:, 0, 0], np.array([-5, -10]) * (1 + k), rtol=1e-5)
        np.testing.assert_allclose(read[:, 5, 10], 0, atol=1e-6)
        # Nothing is folded over, and straight lines through the middle stay straight.
        assert (np.diff(read[0], axis=0) > 0).all()
        np.testing.assert_allclose(read[0, 5], 0, atol=1e-6)


def test_one_pixel_has_no_corners() -> None:
    np.testing.assert_array_equal(offsets(draw(Spatial(distortion=(0.2, 0.2))), (1, 1)), 0)


@given(seeds)
def test_thick_slices_stay_slices(seed: int) -> None:
    """Every pixel of a slice is read from one slice; within it everything goes on as in an image."""
    spatial = Spatial(rotation=180, elastic=ControlPoints(5), thick_slices=3.0)
    read = offsets(draw(spatial, 3, (5.0, 1.0, 1.5), seed), SIZES[3])
    for plane, where in zip(read[0], np.arange(7) - 3, strict=True):
        np.testing.assert_allclose(plane, where, atol=1e-5)
    flat = offsets(draw(Spatial(), 3), SIZES[3])
    assert np.abs(read[1:] - flat[1:]).max() > 0.1
    fine = offsets(draw(spatial, 3, (2.9, 1.0, 1.5), seed), SIZES[3])
    assert np.abs(fine[0] - flat[0]).max() > 0.1


@pytest.mark.parametrize("size", [(6, 6), (5, 8), (3, 4, 6)])
def test_quarter_turns_are_numpys(size: tuple[int, ...]) -> None:
    array = np.arange(2 * math.prod(size)).reshape(2, *size)
    for axes in itertools.permutations(range(len(size)), 2):
        for times in range(4):
            turn = QuarterTurns(axes, times)
            turned = turn(array, len(size))
            assert turn.before(turned.shape[1:]) == size
            for one, other in zip(turned, array, strict=True):
                np.testing.assert_array_equal(one, np.rot90(other, times, axes))


def test_quarter_turns_are_in_planes_of_equal_spacing() -> None:
    spatial = Spatial(quarter_turns=1.0)
    drawn = [draw(spatial, 3, (5.0, 1.0, 1.0), seed).turn for seed in range(200)]
    assert {turn.axes for turn in drawn if turn.times} == {(1, 2)}
    assert not any(draw(spatial, 3, (5.0, 1.0, 2.0), seed).turn.times for seed in range(20))
    even = [draw(spatial, 3, seed=seed).turn for seed in range(200)]
    assert {turn.axes for turn in even if turn.times} == {(0, 1), (0, 2), (1, 2)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scaling": (0, 1)}, "scaling"),
        ({"scaling": (1.4, 0.7)}, "scaling"),
        ({"distortion": (-0.5, 0)}, r"distortion=\[-0.5, 0\]: .* above -1/3"),
        ({"elastic": 8}, "elastic=8: must be null, or have a _target_"),
    ],
)
def test_impossible_transforms(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Spatial(**wrong)


FLAT = {"flat_patch": 3.0, "scaling": (0.5, 0.8)}
NNUNET = RotationByShape(volume=30, slices=180, elongated=15)


@given(seeds)
def test_flat_patches_are_transformed_slice_by_slice(seed: int) -> None:
    """As nnU-Net's "dummy 2D": where the longest edge of the patch is more than thrice an axis's own."""
    rng = np.random.default_rng(seed)
    drawn = Spatial(rotation=NNUNET, elastic=ControlPoints(3), **FLAT).draw((4, 13, 9), (1, 1, 1), rng)
    for plane, where in zip(offsets(drawn, (4, 13, 9))[0], np.arange(4) - 1.5, strict=True):
        np.testing.assert_allclose(plane, where, atol=1e-5)
    assert np.linalg.det(drawn.matrix[1:, 1:]) > 1.5
    full = Spatial(rotation=NNUNET, **FLAT).draw((4, 12, 9), (1, 1, 1), rng)
    assert np.abs(full.matrix[0]).min() > 0


def test_largest_angles_are_nnunets() -> None:
    """Rotations that its trainer chooses for the same patches."""
    for size, slice_by_slice, angle in [
        ((128, 128, 128), False, 30),
        ((64, 192, 160), False, 30),
        ((20, 320, 256), True, 180),
        ((256, 256), False, 180),
        ((384, 256), False, 180),
        ((512, 256), False, 15),
    ]:
        assert NNUNET(size, slice_by_slice) == angle
        assert bool(flat_axes(size, 3.0)) == slice_by_slice
    angles = []
    for seed in range(300):
        drawn = Spatial(rotation=NNUNET, flat_patch=3.0).draw((4, 20, 20), (1, 1, 1), np.random.default_rng(seed))
        angles.append(math.degrees(math.atan2(drawn.matrix[2, 1], drawn.matrix[1, 1])))
    assert min(angles) < -150
    assert max(angles) > 150
