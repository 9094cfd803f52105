"""Star distances against rays that are followed one by one."""

import numpy as np
import pytest

from segbench.data.targets.stars import UNIT, StarDistances, directions
from segbench.errors import UserError
from tests.data.targets.samples import cells, sample_of, square


def followed(instances: np.ndarray, place: tuple[int, ...], step: np.ndarray) -> float:
    """The length of the ray from a pixel: as the authors' program has it, it ends half a pixel before the next."""
    number = 0
    while True:
        number += 1
        there = tuple(np.array(place) + np.rint(number * step).astype(int))
        outside = any(not 0 <= k < length for k, length in zip(there, instances.shape, strict=True))
        if outside or instances[there] != instances[place]:
            return float(number - 1 + 0.5 / np.abs(step).max())


@pytest.mark.parametrize(("size", "rays"), [((30, 34), 8), ((26, 22), 13), ((9, 12, 10), 17)])
@pytest.mark.parametrize("spacing", [1.0, 2.0])
def test_distances_by_brute_force(size: tuple[int, ...], rays: int, spacing: float) -> None:
    instances = cells(size, 7)
    scale = np.array([spacing, *(1.0,) * (len(size) - 1)])
    found = UNIT * StarDistances(rays)(sample_of(instances, spacing=tuple(scale)))
    assert found.shape == (rays, *size)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.broadcast_to(instances == 0, found.shape))
    steps = directions(rays, len(size)) / scale
    for place in map(tuple, np.argwhere(instances > 0)[::5]):
        expected = [followed(instances, place, step) for step in steps]
        np.testing.assert_allclose(found[(slice(None), *place)], expected, rtol=1e-5)


def test_distances_of_a_square() -> None:
    """From its middle: 3.5 pixels along the axes, 3.5 diagonals along the diagonals; from a corner 0.5 outwards."""
    found = UNIT * StarDistances(8)(sample_of(square()))
    np.testing.assert_allclose(found[::2, 5, 5], 3.5)
    np.testing.assert_allclose(found[1::2, 5, 5], 3.5 * np.sqrt(2), atol=0.25)
    np.testing.assert_allclose(found[[0, 2, 4, 6], 2, 2], [6.5, 6.5, 0.5, 0.5])


def test_distances_within_a_disc_are_its_radius() -> None:
    disc = (np.hypot(*(np.indices((81, 81)) - 40)) <= 30.5).astype(np.int32)
    np.testing.assert_allclose(UNIT * StarDistances(32)(sample_of(disc))[:, 40, 40], 30.5, atol=1)


@pytest.mark.parametrize(("rays", "dims"), [(4, 2), (32, 2), (96, 3)])
def test_directions_are_spread_over_the_sphere(rays: int, dims: int) -> None:
    vectors = directions(rays, dims)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=0.02)
    if dims == 2:
        np.testing.assert_allclose(vectors[rays // 4], [1, 0], atol=1e-12)  # a quarter turn is along the first axis


def test_ignored_and_refused() -> None:
    label = np.zeros((11, 13), np.uint8)
    label[:, :5] = 255
    found = StarDistances(4)(sample_of(square(), label))
    assert np.isnan(found[:, :, :5]).all()
    assert np.isfinite(found[:, 5, 5]).all()
    assert np.isnan(StarDistances(4)(sample_of(np.zeros((5, 5), np.int32)))).all()
    with pytest.raises(UserError, match="star distances are made from objects"):
        StarDistances()(sample_of(None, label))
    with pytest.raises(UserError, match="rays=2: must be at least 3"):
        StarDistances(2)


def test_a_large_object_with_long_rays() -> None:
    """Longer than a byte counts."""
    found = UNIT * StarDistances(4)(sample_of(np.ones((5, 700), np.int32)))
    np.testing.assert_allclose(found[0, 2], np.arange(700)[::-1] + 0.5)
