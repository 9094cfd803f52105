"""Distances within objects: printed rows, identities and brute force."""

import numpy as np
import pytest
from scipy.ndimage import zoom
from scipy.spatial.distance import cdist

from segbench.data.sample import Sample
from segbench.data.targets.distances import DistanceTransform, InnerDistance, OuterDistance, centroids
from segbench.data.targets.objects import without_gaps
from segbench.errors import UserError
from tests.data.targets.samples import cells, sample_of, square

SIZES = [(48, 56), (14, 18, 16)]


@pytest.mark.parametrize(
    ("metric", "row"),
    [
        ("euclidean", [0.769, 0.833, 0.909, 1, 0.909, 0.833, 0.769]),
        ("squared", [0.526, 0.714, 0.909, 1, 0.909, 0.714, 0.526]),
    ],
)
def test_inner_distance_of_a_square(metric: str, row: list[float]) -> None:
    """The row through the centre of a 7 x 7 square."""
    found = InnerDistance(0.1, metric)(sample_of(square()))  # type: ignore[arg-type]
    assert found.shape == (1, 11, 13)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, 5, 2:9], row, atol=5e-4)
    assert not found[0][square() == 0].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_inner_distance_by_brute_force(size: tuple[int, ...], spacing: float) -> None:
    """To the nearest centroid of any object; the first axis may be coarser."""
    instances = cells(size)
    scale = np.array([spacing, *(1.0,) * (len(size) - 1)])
    numbers = np.unique(instances[instances > 0])
    middles = np.array([np.rint(np.argwhere(instances == number).mean(axis=0)) for number in numbers])
    inside = np.argwhere(instances > 0)
    nearest = cdist(inside * scale, middles * scale).min(axis=1)
    found = InnerDistance(0.3)(sample_of(instances, spacing=tuple(0.5 * scale)))[0]
    np.testing.assert_allclose(found[instances > 0], 1 / (1 + 0.3 * nearest), rtol=1e-5)
    assert not found[instances == 0].any()
    np.testing.assert_array_equal(middles, centroids(without_gaps(instances)))


def test_outer_distance_of_a_square() -> None:
    found = OuterDistance()(sample_of(square()))
    np.testing.assert_allclose(found[0, 5, 2:9], [0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25])
    assert not found[0][square() == 0].any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_outer_distance_by_brute_force(size: tuple[int, ...], spacing: float) -> None:
    """To the nearest pixel of the image that is background or of another object, also where objects touch."""
    instances = cells(size)
    scale = np.array([spacing, *(1.0,) * (len(size) - 1)])
    found = OuterDistance()(sample_of(instances, spacing=tuple(scale)))[0]
    for number in np.unique(instances[instances > 0]):
        inside = instances == number
        distance = cdist(np.argwhere(inside) * scale, np.argwhere(~inside) * scale).min(axis=1)
        np.testing.assert_allclose(found[inside], distance / distance.max(), rtol=1e-5)
    assert not found[instances == 0].any()


def test_outer_distance_of_an_object_that_is_cut_off() -> None:
    """It has no boundary where the image ends; one that fills the image is as deep everywhere."""
    instances = np.zeros((5, 8), np.int32)
    instances[:, :4] = 1
    np.testing.assert_allclose(OuterDistance()(sample_of(instances))[0, 2], [1, 0.75, 0.5, 0.25, 0, 0, 0, 0])
    assert (OuterDistance()(sample_of(np.ones((5, 8), np.int32))) == 1).all()


def test_outer_distance_is_invariant_to_scale() -> None:
    """An object twice as large has the same map, up to the half pixel by which its outline is away."""
    disc = (np.hypot(*(np.indices((61, 61)) - 30)) <= 20).astype(np.int32)
    small = OuterDistance()(sample_of(disc))[0]
    large = OuterDistance()(sample_of(disc.repeat(2, 0).repeat(2, 1)))[0]
    inside = disc.repeat(2, 0).repeat(2, 1) > 0
    assert np.abs(large - zoom(small, 2, order=0))[inside].max() < 0.06


@pytest.mark.parametrize("size", SIZES)
def test_distance_transform_by_brute_force(size: tuple[int, ...]) -> None:
    instances = cells(size)
    found = DistanceTransform(truncate=4.0)(sample_of(instances))[0]
    background = instances == 0
    to_objects = cdist(np.argwhere(background), np.argwhere(~background)).min(axis=1)
    np.testing.assert_allclose(found[background], -np.minimum(to_objects / 4, 1), rtol=1e-5)
    for number in np.unique(instances[instances > 0]):
        inside = instances == number
        distance = cdist(np.argwhere(inside), np.argwhere(~inside)).min(axis=1)
        np.testing.assert_allclose(found[inside], np.minimum(distance / 4, 1), rtol=1e-5)
    unsigned = DistanceTransform(truncate=4.0, signed=False)(sample_of(instances))[0]
    np.testing.assert_array_equal(unsigned, np.maximum(found, 0))


TARGETS = [InnerDistance(), OuterDistance(), DistanceTransform()]


@pytest.mark.parametrize("target", TARGETS)
def test_ignored_pixels_have_no_value(target: InnerDistance) -> None:
    instances = square()
    label = (instances > 0).astype(np.uint8)
    label[:, :4] = 255
    found = target(sample_of(instances, label))[0]
    np.testing.assert_array_equal(np.isnan(found), label == 255)


@pytest.mark.parametrize("target", TARGETS)
def test_numbers_of_objects_do_not_matter(target: InnerDistance) -> None:
    """Far above the number of pixels, too."""
    instances = cells()
    renamed = np.where(instances > 0, instances * 50_000_000 // 3, 0).astype(np.int32)
    np.testing.assert_array_equal(target(sample_of(instances)), target(sample_of(renamed)))


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_without_any_object(target: InnerDistance) -> None:
    found = target(sample_of(np.zeros((6, 7), np.int32)))
    assert found.shape == (1, 6, 7)
    assert (found == (-1 if isinstance(target, DistanceTransform) else 0)).all()


@pytest.mark.parametrize("target", TARGETS)
def test_a_data_set_without_objects(target: InnerDistance) -> None:
    with pytest.raises(UserError, match=r"task: .* are made from objects, and this data set has none"):
        target(Sample(np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.uint8)))


def test_values_out_of_range() -> None:
    with pytest.raises(UserError, match="alpha=0: must be above 0"):
        InnerDistance(alpha=0)
    with pytest.raises(UserError, match="metric=cosine: must be euclidean or squared"):
        InnerDistance(metric="cosine")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"truncate=0\.0: must be above 0"):
        DistanceTransform(truncate=0.0)
