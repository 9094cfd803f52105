import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from segbench.data.augmentations.elastic import ControlPoints
from segbench.data.augmentations.spatial import Spatial
from segbench.data.interpolation import Places
from segbench.data.patches import read_patch
from tests.data.arrays import ArrayCase

TRANSFORMS = {
    "zoom": (Spatial(scaling=(0.7, 1.4)), (1.0, 1.0, 1.0)),
    "zoom and turn of slices": (Spatial(rotation=180, scaling=(0.7, 1.4), thick_slices=3), (5.0, 1.0, 1.0)),
    "turn of slices": (Spatial(rotation=180, thick_slices=3), (1.0, 5.0, 1.0)),
    "turn": (Spatial(rotation=30, scaling=(0.7, 1.4), translation=0.1), (1.0, 1.0, 1.0)),
    "bend": (Spatial(rotation=30, elastic=ControlPoints(1.5)), (1.0, 1.0, 1.0)),
    "distortion": (Spatial(distortion=(0.1, 0.2)), (1.0, 1.0, 1.0)),
    "zoom of an image": (Spatial(scaling=(0.7, 1.4)), (1.0, 1.0)),
    "turn of an image": (Spatial(rotation=180), (1.0, 1.0)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_patches_are_read_where_their_transform_says(name):
    """The image is read, by scipy, where a patch of an image that holds its own coordinates says that it was read."""
    spatial, spacing = TRANSFORMS[name]
    rng = np.random.default_rng(3)
    size, shape = (8, 11, 9)[: len(spacing)], (40, 44, 42)[: len(spacing)]
    start = np.array([16] * len(spacing))
    image = rng.normal(size=(2, *shape)).astype(np.float32)
    label = rng.integers(0, 4, shape).astype(np.uint8)
    draw = spatial.draw(size, spacing, rng)
    assert not draw.on_grid
    same = lambda raw, channels: raw  # noqa: E731
    places = read_patch(ArrayCase(np.indices(shape, np.float32), label, None, spacing), start, draw, size, same).image
    sample = read_patch(ArrayCase(image, label, None, spacing), start, draw, size, same)
    for channel, found in zip(image, sample.image, strict=True):
        np.testing.assert_allclose(found, map_coordinates(channel, places, order=1), atol=2e-4)
    clear = np.abs(places - np.rint(places)).max(axis=0) < 0.499
    nearest = label[tuple(np.rint(places).astype(int))]
    np.testing.assert_array_equal(sample.label[clear], nearest[clear])
    assert clear.mean() > 0.5


def test_lines_and_points_agree():
    """Places that are lines along every axis, or some, are read as points are."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(3, 6, 7, 8)).astype(np.float32)
    lines = [rng.uniform(0, length - 1, 5) for length in image.shape[1:]]
    lines[1] = np.arange(7.0)
    for axes in [(0, 1, 2), (1,), (0,), ()]:
        others = [axis for axis in range(3) if axis not in axes]
        points = np.stack(np.meshgrid(*(lines[axis] for axis in others), indexing="ij")) if others else None
        places = Places({axis: lines[axis] for axis in axes}, None if points is None else points.astype(np.float32))
        everywhere = np.stack(np.meshgrid(*lines, indexing="ij"))
        for channel, found in zip(image, places.linear(image), strict=True):
            np.testing.assert_allclose(found, map_coordinates(channel, everywhere, order=1), atol=1e-5)
        np.testing.assert_array_equal(
            places.nearest(image), np.stack([map_coordinates(channel, everywhere, order=0) for channel in image])
        )


def test_places_on_the_last_pixel():
    image = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    points = np.full((3, 1, 1, 1), 2, np.float32)
    assert Places({}, points).linear(image).item() == 26
    line = np.array([0.0, 2.0])
    np.testing.assert_array_equal(Places(dict.fromkeys(range(3), line), None).linear(image)[0], image[0, ::2, ::2, ::2])
