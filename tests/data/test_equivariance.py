"""Every geometric transform does the same to the image and to its mask: mask(T(x)) == T(mask(x))."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter

from segbench.data import normalize
from segbench.data.augmentations.elastic import ControlPoints, SmoothedNoise
from segbench.data.augmentations.spatial import QuarterTurns, Spatial, SpatialDraw
from segbench.data.case import IGNORE
from segbench.data.patches import PatchSampler
from segbench.data.placement import CentreByClass, TrainingCases
from segbench.data.targets import centre
from tests.data.arrays import ArrayCase, Cases, random_case
from tests.data.samplers import read

CONF = Path(__file__).parents[2] / "conf" / "augmentation"
ALONE = {
    "flip": Spatial(flip=0.5),
    "quarter turns": Spatial(quarter_turns=1.0),
    "rotation": Spatial(rotation=180),
    "scaling": Spatial(scaling=(0.7, 1.4)),
    "translation": Spatial(translation=0.2),
    "elastic, U-Net": Spatial(elastic=ControlPoints(10)),
    "elastic, B-splines": Spatial(elastic=ControlPoints(8, 4, "spline")),
    "elastic, Simard": Spatial(elastic=SmoothedNoise((0, 200), (9, 13))),
    "distortion": Spatial(distortion=(-0.2, 0.2)),
}
EXACT = ("flip", "quarter turns", "translation")
NOTHING = {
    "quarter turns": Spatial(quarter_turns=0.0),
    "rotation": Spatial(rotation=0.0, scaling=(1.0, 1.0)),
    "elastic, U-Net": Spatial(elastic=ControlPoints(0)),
    "elastic, B-splines": Spatial(elastic=ControlPoints(0, 4, "spline")),
    "elastic, Simard": Spatial(elastic=SmoothedNoise((0, 0), (9, 13))),
    "distortion": Spatial(distortion=(0.0, 0.0)),
}
shapes = st.sampled_from([(20, 20), (13, 18), (16, 11), (6, 9, 7)])
seeds = st.integers(0, 2**32)


def smooth_case(shape: tuple[int, ...], seed: int) -> ArrayCase:
    """A smooth image, and where it is positive."""
    image = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 4).astype(np.float32)
    return ArrayCase(image[None], (image > 0).astype(np.uint8), None, (1.0,) * len(shape))


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("shape", [(96, 80), (30, 36, 24)])
def test_mask_of_the_transformed_image_is_the_transformed_mask(name: str, shape: tuple[int, ...]) -> None:
    for seed in range(10):
        case, rng = smooth_case(shape, seed), np.random.default_rng(seed)
        draw = ALONE[name].draw(shape, case.spacing, rng)
        image, label, _ = read(case, np.zeros(len(shape), int), draw, shape, normalize.none)
        learnt = label != IGNORE
        assert learnt.mean() > 0.3
        agreement = ((image[0] > 0) == label)[learnt].mean()
        # Linear interpolation and the nearest pixel differ within half a pixel of the mask's edge.
        assert agreement == 1 if name in EXACT else agreement > 0.95


@pytest.mark.parametrize("name", NOTHING)
@given(shapes, seeds)
def test_strength_zero_is_the_identity(name: str, shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng, shape)
    draw = NOTHING[name].draw(shape, case.spacing, rng)
    image, label, instances = read(case, np.zeros(len(shape), int), draw, shape, normalize.none)
    np.testing.assert_allclose(image, case.image, atol=1e-5)
    np.testing.assert_array_equal(label, case.label)
    np.testing.assert_array_equal(instances, case.instances)


@given(shapes, seeds, st.integers(1, 3))
def test_quarter_turns_are_exact(shape: tuple[int, ...], seed: int, times: int) -> None:
    """Numpy's turn of what was there before, to the bit; a turn of a long patch reads a high one."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, shape)
    axes = [(0, 1), (1, 0), (len(shape) - 1, 0)][rng.integers(3)]
    turn = QuarterTurns(axes, times)
    draw = SpatialDraw(np.eye(len(shape)), np.zeros(len(shape)), (False,) * len(shape), turn=turn)
    patch = turn.before(shape)  # what becomes a patch of this size is the whole image
    start = -(np.subtract(patch, shape) // 2)
    image, label, instances = read(case, start, draw, patch, normalize.none)
    assert case.instances is not None
    assert instances is not None
    for turned, whole in ((label, case.label), (instances, case.instances)):
        np.testing.assert_array_equal(turned, np.rot90(whole, times, axes))
    for channel, whole in zip(image, case.image, strict=True):
        np.testing.assert_array_equal(channel, np.rot90(whole, times, axes))


def test_four_quarter_turns_are_nothing() -> None:
    case = first = random_case(np.random.default_rng(0), (12, 12))
    draw = SpatialDraw(np.eye(2), np.zeros(2), (False, False), turn=QuarterTurns((0, 1), 1))
    for number in range(4):
        case = ArrayCase(*read(case, np.zeros(2, int), draw, (12, 12), normalize.none), case.spacing)
        assert np.array_equal(case.image, first.image) == (number == 3)
    np.testing.assert_array_equal(case.label, first.label)
    np.testing.assert_array_equal(case.instances, first.instances)


@given(shapes, seeds)
def test_shifts_are_exact(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng, shape)
    draw = Spatial(translation=0.3).draw(shape, case.spacing, rng)
    image, label, _ = read(case, np.zeros(len(shape), int), draw, shape, normalize.none)
    here = tuple(slice(max(0, -int(by)), min(size, size - int(by))) for by, size in zip(draw.shift, shape, strict=True))
    there = tuple(slice(cut.start + int(by), cut.stop + int(by)) for cut, by in zip(here, draw.shift, strict=True))
    np.testing.assert_array_equal(image[:, *here], case.image[:, *there])
    np.testing.assert_array_equal(label[here], case.label[there])
    outside = np.ones(shape, bool)
    outside[here] = False
    assert (label[outside] == IGNORE).all()


@given(st.tuples(*[st.integers(1, 14)] * 2), st.tuples(*[st.integers(1, 14)] * 2), seeds)
def test_turned_patches_have_the_size_asked_for(shape: tuple[int, ...], patch: tuple[int, ...], seed: int) -> None:
    """Of images of any size, and with everything else on top."""
    rng = np.random.default_rng(seed)
    case = random_case(rng, shape)
    spatial = Spatial(0.5, 20, 0.5, (0.5, 2), 0.5, 0.2, 0.5, ControlPoints(3), 0.5, 1.0, (-0.2, 0.2), 0.5)
    draw = spatial.draw(patch, case.spacing, rng)
    image, label, instances = read(case, rng.integers(-9, 9, 2), draw, patch, normalize.none)
    assert instances is not None
    assert image.shape[1:] == label.shape == instances.shape == patch


@given(st.tuples(*[st.integers(1, 12)] * 2), seeds)
def test_pinned_pixel_stays(patch: tuple[int, ...], seed: int) -> None:
    """The image tells where each pixel was read: the central one where it is without a transform."""
    rng = np.random.default_rng(seed)
    case = ArrayCase(np.indices((60, 60), dtype=np.float32), np.zeros((60, 60), np.uint8), None, (1.0, 1.0))
    spatial = Spatial(0.5, 180, 0.5, (0.5, 2), 0.5, 0.9, 0.5, ControlPoints(3), 0.5, 1.0, (-0.2, 0.2), 0.5)
    draw = spatial.draw(patch, case.spacing, rng).pinned(patch)
    start = np.array([28, 30])
    image, _, _ = read(case, start, draw, patch, normalize.none)
    middle = (np.asarray(patch) - 1) // 2
    np.testing.assert_allclose(image[:, *middle], start + middle, atol=1e-3)


@pytest.mark.parametrize("size", [(4, 6), (3, 4, 5)])
def test_places_before_quarter_turns(size: tuple[int, ...]) -> None:
    for axes in itertools.permutations(range(len(size)), 2):
        for times in range(4):
            turn = QuarterTurns(axes, times)
            array = np.arange(math.prod(size)).reshape(turn.before(size))
            turned = turn(array, len(size))
            for pixel in np.ndindex(size):
                assert array[tuple(turn.source(pixel, size))] == turned[pixel]


@pytest.mark.parametrize("name", ["flips", "unet", "standard", "histology"])
@pytest.mark.parametrize("patch", [15, 16])
def test_classes_of_central_pixels_stay_even(name: str, patch: int) -> None:
    """Also of a class of a few pixels, and of one at the image's corner: none is lost beyond the image."""
    label = np.zeros((60, 60), np.uint8)
    label[30:33, 30:33], label[:2, :2] = 1, 2
    store = Cases(case=ArrayCase(np.zeros((3, 60, 60), np.uint8), label, None, (1.0, 1.0)))
    augmentation = instantiate(OmegaConf.load(CONF / f"{name}.yaml"), _convert_="all")
    training = TrainingCases(store, ["case"], 0, 0)  # type: ignore[arg-type]
    source = PatchSampler(training, (patch, patch), CentreByClass(), augmentation, {"mask": centre}, normalize.zscore)
    found = np.bincount([int(source[k]["mask"]) for k in range(300)], minlength=256)
    assert found[:3].sum() >= 298  # a pixel on the image's edge may be read a hair's breadth beyond it
    assert found[:3].min() > 75


@pytest.mark.parametrize("group", ["rotation", "scaling", "translation", "elastic", "intensity", "flips"])
def test_studies_of_one_part_at_a_time_use_the_values_of_standard(group: str) -> None:
    """So that "none -> full, one at a time" has the parts of what it ends with."""
    whole, part = (OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")) for name in ("standard", group))
    for name in ("spatial", "intensity"):
        for key, value in part.get(name, {}).items():
            assert whole[name][key] == value
    assert instantiate(OmegaConf.load(CONF / f"{group}.yaml"), _convert_="all") is not None
