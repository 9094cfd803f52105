"""One patch: read as SciPy reads it, with image, label and instances in step, and mirrored beyond the image."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from segbench.data import normalize
from segbench.data.augmentations.spatial import Spatial, SpatialDraw, offsets
from segbench.data.case import IGNORE
from segbench.data.patches import mirror
from tests.data.arrays import ArrayCase, coordinate_case, random_case
from tests.data.samplers import EVERYTHING, read

seeds = st.integers(0, 2**32)


@st.composite
def situations(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], np.ndarray, np.random.Generator]:
    """An image's and a patch's size in 2D or 3D, each may be the larger, the patch's first pixel, a generator."""
    dims = draw(st.sampled_from((2, 3)))
    lengths = st.lists(st.integers(1, 24 if dims == 2 else 10), min_size=dims, max_size=dims)
    shape, patch = tuple(draw(lengths)), tuple(draw(lengths))
    start = [draw(st.integers(-size, length)) for size, length in zip(patch, shape, strict=True)]
    return shape, patch, np.array(start), np.random.default_rng(draw(seeds))


def plain(dims: int, **changes: Any) -> SpatialDraw:
    """A transform that does nothing but what is given."""
    return replace(SpatialDraw(np.eye(dims), np.zeros(dims), (False,) * dims, None), **changes)


@settings(deadline=None)
@given(situations())
def test_same_as_scipy(situation: tuple) -> None:
    """Against `scipy.ndimage` at positions by the formula; labels where no rounding decides."""
    shape, patch, start, rng = situation
    case = random_case(rng, shape)
    draw = EVERYTHING.draw(patch, rng.uniform(0.3, 3, len(shape)), rng)
    image, label, instances = read(case, start, draw, patch, normalize.none)

    middle = (np.reshape(patch, (-1, *(1,) * len(patch))) - 1) / 2
    where = start.reshape(middle.shape) + middle + offsets(draw, patch).astype(float)
    expected = np.stack([map_coordinates(channel, where, order=1, mode="mirror") for channel in case.image])
    axes = tuple(axis for axis, flip in enumerate(draw.flips) if flip)
    back = np.flip(image, [axis + 1 for axis in axes])
    np.testing.assert_allclose(back, expected, atol=2e-4)

    margin = int(np.abs(where).max()) + 2
    clear = (np.abs(where % 1 - 0.5) > 1e-3).all(axis=0)
    assert instances is not None
    assert case.instances is not None
    for result, source, beyond in ((label, case.label, IGNORE), (instances, case.instances, 0)):
        widened = np.pad(source, margin, constant_values=beyond)
        nearest = map_coordinates(widened, where + margin, order=0)
        assert result.dtype == source.dtype
        np.testing.assert_array_equal(np.flip(result, axes)[clear], nearest[clear])


@settings(deadline=None)
@given(situations())
def test_image_and_label_stay_in_step(situation: tuple) -> None:
    """The image tells where each pixel was read: the label is that of the same pixel."""
    shape, patch, start, rng = situation
    case = coordinate_case(rng, shape)
    image, label, instances = read(case, start, EVERYTHING.draw(patch, case.spacing, rng), patch, normalize.none)
    clear = (np.abs(image % 1 - 0.5) > 1e-2).all(axis=0) & (label != IGNORE)
    source = tuple(np.rint(image).astype(int)[:, clear])
    np.testing.assert_array_equal(label[clear], case.label[source])
    assert instances is not None
    assert case.instances is not None
    np.testing.assert_array_equal(instances[clear], case.instances[source])


@pytest.mark.parametrize("shape", [(96, 80), (40, 48, 32)])
def test_mask_of_the_transformed_image_is_the_transformed_mask(shape: tuple[int, ...]) -> None:
    agreement = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image = gaussian_filter(rng.normal(size=shape), 5).astype(np.float32)
        case = ArrayCase(image[None], (image > 0).astype(np.uint8), None, (1.0,) * len(shape))
        draw = EVERYTHING.draw(shape, case.spacing, rng)
        turned, label, _ = read(case, np.zeros(len(shape), int), draw, shape, normalize.none)
        agreement.append(((turned[0] > 0) == label)[label != IGNORE].mean())
    assert min(agreement) > 0.97


@settings(deadline=None)
@given(situations())
def test_labels_are_those_of_the_image(situation: tuple) -> None:
    shape, patch, start, rng = situation
    case = random_case(rng, shape)
    image, label, instances = read(case, start, EVERYTHING.draw(patch, case.spacing, rng), patch, normalize.none)
    assert image.shape == (2, *patch)
    assert image.dtype == np.float32
    assert label.shape == patch
    assert instances is not None
    assert instances.shape == patch
    assert set(np.unique(label)) <= {*np.unique(case.label), IGNORE}
    assert set(np.unique(instances)) <= {*np.unique(case.instances), 0}
    assert not instances[label == IGNORE].any()
    # Linear interpolation makes no values beyond those that it has.
    assert image.min() >= case.image.min() - 1e-5
    assert image.max() <= case.image.max() + 1e-5


@settings(deadline=None)
@given(situations())
def test_untransformed_patch_is_cut_out_and_mirrored(situation: tuple) -> None:
    shape, patch, start, rng = situation
    case = random_case(rng, shape)
    shift = rng.integers(-5, 6, len(shape)).astype(float)
    image, label, instances = read(case, start, plain(len(shape), shift=shift), patch, normalize.none)

    margin = 60  # more than any patch reads beyond the image
    first = start + shift.astype(int) + margin
    box = tuple(slice(low, low + size) for low, size in zip(first, patch, strict=True))
    widths = [(margin, margin)] * len(shape)
    np.testing.assert_array_equal(image, np.pad(case.image, [(0, 0), *widths], mode="reflect")[:, *box])
    np.testing.assert_array_equal(label, np.pad(case.label, widths, constant_values=IGNORE)[box])
    assert case.instances is not None
    np.testing.assert_array_equal(instances, np.pad(case.instances, widths)[box])


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(-99, 99))
def test_mirror_is_numpys_reflection(length: int, position: int) -> None:
    line = np.pad(np.arange(length), 99, mode="reflect")
    assert mirror(np.array([position]), length)[0] == line[position + 99]


@pytest.mark.parametrize("shape", [(16, 16), (15, 15), (6, 6, 6)])
def test_quarter_turns_are_exact(shape: tuple[int, ...]) -> None:
    """A turn by 90 degrees is numpy's, and four of them are nothing."""
    start = np.zeros(len(shape), int)
    turn = np.eye(len(shape))
    turn[:2, :2] = [[np.cos(np.pi / 2), 1], [-1, np.cos(np.pi / 2)]]
    case = first = random_case(np.random.default_rng(0), shape)
    for _ in range(4):
        image, label, instances = read(case, start, plain(len(shape), matrix=turn), shape, normalize.none)
        np.testing.assert_allclose(image, np.rot90(case.image, axes=(1, 2)), atol=1e-5)
        np.testing.assert_array_equal(label, np.rot90(case.label))
        np.testing.assert_array_equal(instances, np.rot90(case.instances))
        case = ArrayCase(image, label, instances, case.spacing)
    np.testing.assert_allclose(case.image, first.image, atol=1e-5)
    np.testing.assert_array_equal(case.label, first.label)


@pytest.mark.parametrize("flips", itertools.product((False, True), repeat=3))
def test_flips_are_involutions(flips: tuple[bool, ...]) -> None:
    shape = (4, 5, 6)
    case = random_case(np.random.default_rng(0), shape)
    draw, start = plain(3, flips=flips), np.zeros(3, int)
    once = ArrayCase(*read(case, start, draw, shape, normalize.none))
    axes = [axis for axis, flip in enumerate(flips) if flip]
    np.testing.assert_array_equal(once.label, np.flip(case.label, axes))
    image, label, instances = read(once, start, draw, shape, normalize.none)
    np.testing.assert_array_equal(image, case.image)
    np.testing.assert_array_equal(label, case.label)
    np.testing.assert_array_equal(instances, case.instances)


def test_zoom_magnifies() -> None:
    """A disc of radius 8 has radius 16 in a patch that is zoomed by 2, and 4 in one by 0.5."""
    disc = np.hypot(*(np.indices((65, 65)) - 32)) <= 8
    case = ArrayCase(disc[None].astype(np.float32), disc.astype(np.uint8), None, (1.0, 1.0))
    for zoom in (2, 0.5):
        draw = Spatial(scaling=(zoom, zoom)).draw((65, 65), case.spacing, np.random.default_rng(0))
        _, label, _ = read(case, np.zeros(2, int), draw, (65, 65), normalize.none)
        assert (label == 1).sum() == pytest.approx(disc.sum() * zoom**2, rel=0.05)


def test_raw_intensities_are_normalised() -> None:
    """By the statistics of the whole case, before or after the interpolation: they commute."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (2, 40, 40), dtype=np.uint8)
    case = ArrayCase(image, np.zeros((40, 40), np.uint8), None, (1.0, 1.0))
    draw = Spatial(rotation=45).draw((20, 20), case.spacing, rng)
    start = np.array([10, 10])
    raw = read(case, start, draw, (20, 20), normalize.none)[0]
    scaled = read(case, start, draw, (20, 20), normalize.zscore)[0]
    mean, std = (getattr(image, name)(axis=(1, 2))[:, None, None] for name in ("mean", "std"))
    np.testing.assert_allclose(scaled, (raw - mean) / std, atol=1e-4)
