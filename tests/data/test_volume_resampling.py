import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from skimage.transform import resize

from segbench.data import label_resampling, volume_resampling
from segbench.data.label_resampling import resample_label
from segbench.data.volume_resampling import (
    probability_slabs,
    resample_image,
    resample_probabilities,
    resampled_shape,
    thick_axis,
)

SHAPES = [
    ((20, 31, 27), (25, 20, 40)),
    ((9, 80, 70), (9, 150, 31)),
    ((1, 33, 9), (5, 30, 9)),
    ((31, 27), (90, 13)),
]


def resized(array, shape, separate_axis, order):
    """As nnU-Net does it: by scikit-image, and by scipy along a separate axis."""
    if separate_axis is None:
        return resize(array.astype(float), shape, order, mode="edge", anti_aliasing=False)
    within = list(shape)
    within.pop(separate_axis)
    slices = [resized(one, within, None, order) for one in np.moveaxis(array, separate_axis, 0)]
    stack = np.stack(slices, separate_axis)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(float)
    scale = array.shape[separate_axis] / shape[separate_axis]
    places[separate_axis] = scale * (places[separate_axis] + 0.5) - 0.5
    return map_coordinates(stack, places, order=0, mode="nearest")


@pytest.mark.parametrize("separate_axis", [None, 0, -1])
@pytest.mark.parametrize(("shape", "new"), SHAPES)
def test_agrees_with_scikit_image(shape, new, separate_axis):
    if separate_axis == -1:
        separate_axis = len(shape) - 1
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    for found, order in (
        (resample_image(image, new, separate_axis), 3),
        (resample_probabilities(image, new, separate_axis), 1),
    ):
        assert found.dtype == np.float32
        expected = np.stack([resized(channel, new, separate_axis, order) for channel in image])
        np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize("separate_axis", [None, 0])
@pytest.mark.parametrize(("shape", "new"), SHAPES)
def test_labels_are_the_largest_of_the_classes(shape, new, separate_axis):
    label = np.random.default_rng(1).integers(0, 4, shape).astype(np.uint8)
    found = resample_label(label, new, separate_axis)
    scores = np.stack([resized(label == value, new, separate_axis, 1) for value in range(4)])
    chosen = np.take_along_axis(scores, found[None].astype(int), 0)[0]
    np.testing.assert_allclose(chosen, scores.max(axis=0), atol=1e-9)
    nearest = resized(label, new, 0 if separate_axis is not None else None, 0).astype(int)
    tied = np.take_along_axis(scores, nearest[None], 0)[0] >= scores.max(axis=0) - 1e-9
    np.testing.assert_array_equal(found[tied], nearest[tied])


def test_labels_do_not_depend_on_the_slab(monkeypatch):
    label = np.random.default_rng(1).integers(0, 300, (20, 15, 11)).astype(np.uint16)
    whole = resample_label(label, (33, 14, 20))
    monkeypatch.setattr(label_resampling, "_SLAB", 500)
    np.testing.assert_array_equal(resample_label(label, (33, 14, 20)), whole)


@pytest.mark.parametrize("separate_axis", [None, 1])
def test_probabilities_come_in_slabs(monkeypatch, separate_axis):
    probabilities = np.random.default_rng(2).dirichlet(np.ones(3), (20, 15, 11)).transpose(3, 0, 1, 2)
    shape = (30, 25, 17)
    whole = resample_probabilities(probabilities, shape, separate_axis)
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-6)
    limit = 4 * 3 * 30 * 25 * 2
    monkeypatch.setattr(volume_resampling, "_SLAB", limit)
    covered = np.zeros(shape[separate_axis or 0], bool)
    for rows, slab in probability_slabs(probabilities, shape, separate_axis):
        assert slab.nbytes <= limit
        assert not covered[rows].any()
        covered[rows] = True
        place = (slice(None), *(rows if axis == (separate_axis or 0) else slice(None) for axis in range(3)))
        np.testing.assert_allclose(slab, whole[place], atol=1e-6)
    assert covered.all()
    halves = np.empty((3, *shape), np.float16)
    assert resample_probabilities(probabilities, shape, separate_axis, out=halves) is halves
    np.testing.assert_allclose(halves, whole, atol=1e-3)


def test_the_same_shape_changes_nothing():
    image = np.random.default_rng(0).integers(-1000, 3000, (1, 5, 6, 7)).astype(np.int16)
    np.testing.assert_array_equal(resample_image(image, (5, 6, 7)), image)
    np.testing.assert_array_equal(resample_label(image[0], (5, 6, 7)), image[0])
    np.testing.assert_array_equal(resample_probabilities(image / 3000, (5, 6, 7)), (image / 3000).astype(np.float32))


def test_there_and_back():
    x = np.linspace(0, 3, 40)
    image = np.sin(x)[None, :, None, None] * np.cos(x[:30])[:, None] * np.ones(20)
    fine = resample_image(image, (80, 60, 40))
    np.testing.assert_allclose(resample_image(fine, (40, 30, 20)), image, atol=3e-3)
    label = (image[0] > 0.5).astype(np.uint8)
    np.testing.assert_array_equal(resample_label(resample_label(label, (120, 90, 60)), (40, 30, 20)), label)


def test_values_stay_in_range():
    step = np.zeros((1, 4, 20, 20), np.float32)
    step[0, 1, :, 10:] = 1
    assert resample_image(step, (4, 50, 50)).max() <= 1
    alone = resample_image(step, (4, 50, 50), separate_axis=0)
    assert alone[0, 0].max() == 0
    assert alone.min() >= 0


@pytest.mark.parametrize(
    ("spacing", "new", "axis"),
    [
        ((1, 1, 1), (1, 1, 1), None),
        ((3, 1, 1), (1, 1, 1), None),
        ((3.1, 1, 1), (1, 1, 1), 0),
        ((1, 1, 1), (1, 5, 1), 1),
        ((1, 1, 5), (5, 1, 1), 2),
        ((0.24, 1.25, 1.25), (1, 1, 5), None),
    ],
)
def test_thick_axis(spacing, new, axis):
    assert thick_axis(spacing, new) == axis


def test_thick_axis_by_another_threshold():
    assert thick_axis((2, 1, 1), (1, 1, 1), threshold=1.5) == 0


def test_resampled_shape():
    assert resampled_shape((36, 50, 35), (1, 1, 1), (2, 0.5, 1)) == (18, 100, 35)
    assert resampled_shape((1, 50), (1, 1), (3, 1)) == (1, 50)
