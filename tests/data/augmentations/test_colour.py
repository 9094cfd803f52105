"""Changes of colours: scikit-image's colour spaces and histograms, nothing at strength zero, RGB only."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import combine_stains, hed_from_rgb, hsv2rgb, rgb2hsv, rgb_from_hed, separate_stains
from skimage.exposure import match_histograms

from segbench.data.augmentations.colour import HistogramMatching, HueJitter, StainJitter
from segbench.data.augmentations.pipeline import Augmentation, Intensity
from segbench.data.case_meta import measure_intensities
from segbench.data.normalize import zscore
from segbench.data.patches import PatchSampler
from segbench.data.placement import InsideImage, TrainingCases
from segbench.data.targets import mask
from segbench.errors import UserError
from tests.data.arrays import ArrayCase, Cases

JITTERS: list[Intensity] = [
    StainJitter(1.0, (0.9, 1.1), (-0.02, 0.02)),
    HueJitter(1.0, (-0.04, 0.04), (0.8, 1.2), (0.9, 1.1)),
]
seeds = st.integers(0, 2**32)


def photograph(seed: int, size: tuple[int, ...] = (20, 17)) -> np.ndarray:
    """All colours, grey, black and white among them."""
    image = np.random.default_rng(seed).integers(0, 256, (3, *size), dtype=np.uint8)
    image[:, 0, 0], image[:, 0, 1], image[:, 0, 2] = 0, 255, 128
    return image


@pytest.mark.parametrize("transform", JITTERS, ids=lambda one: type(one).__name__)
@given(seed=seeds)
def test_contract(transform: Intensity, seed: int) -> None:
    image = photograph(seed)
    before = image.copy()
    result = transform(image, np.random.default_rng(seed))
    assert result.dtype == np.float32
    assert result.shape == image.shape
    assert result.min() >= 0
    assert result.max() <= 255
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result, transform(image, np.random.default_rng(seed)))
    assert not np.array_equal(result, transform(image, np.random.default_rng(seed + 1)))
    assert 0.1 < np.abs(result - image).mean() < 30


@pytest.mark.parametrize("transform", [StainJitter(1.0), HueJitter(1.0)], ids=lambda one: type(one).__name__)
@given(seed=seeds)
def test_strength_zero_is_the_identity(transform: Intensity, seed: int) -> None:
    image = photograph(seed)
    np.testing.assert_allclose(transform(image, np.random.default_rng(seed)), image, atol=1e-2)


@pytest.mark.parametrize("transform", [StainJitter(0.0, (0, 9)), HueJitter(0.0, (0, 1))], ids=str)
def test_probability_zero_is_never(transform: Intensity) -> None:
    image = photograph(0)
    assert all(transform(image, np.random.default_rng(seed)) is image for seed in range(50))


@given(seeds, st.floats(-0.5, 0.5), st.floats(0, 2), st.floats(0, 2))
def test_hue_is_scikit_images(seed: int, hue: float, saturation: float, value: float) -> None:
    image = photograph(seed)
    result = HueJitter(1.0, (hue, hue), (saturation, saturation), (value, value))(image, np.random.default_rng(0))
    hsv = rgb2hsv(image, channel_axis=0)
    hsv[0] = (hsv[0] + hue) % 1
    hsv[1:] = np.minimum(hsv[1:] * np.reshape([saturation, value], (2, 1, 1)), 1)
    np.testing.assert_allclose(result, hsv2rgb(hsv, channel_axis=0) * 255, atol=0.02)


@given(seeds, st.tuples(*[st.floats(0.5, 1.5)] * 2))
def test_stains_are_scikit_images(seed: int, range_: tuple[float, float]) -> None:
    """Colours of known stains, as `skimage.color` mixes them, restained by other amounts of each."""
    range_ = (min(range_), max(range_))
    stains = np.random.default_rng(seed).uniform(0, 0.05, (30, 20, 3))
    rgb = combine_stains(stains, rgb_from_hed)
    np.testing.assert_allclose(separate_stains(rgb, hed_from_rgb), stains, atol=1e-6)
    image = np.moveaxis(rgb * 256 - 1, -1, 0).astype(np.float32)
    image = image.clip(0)
    result = StainJitter(1.0, range_, white=255)(image, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    rng.random()
    expected = combine_stains(stains * rng.uniform(*range_, 3), rgb_from_hed)
    dark = (rgb < 1 / 256).any(axis=-1) | (expected < 1 / 256).any(axis=-1)
    np.testing.assert_allclose(np.moveaxis(result, 0, -1)[~dark], (expected * 256 - 1)[~dark], atol=0.05)
    assert dark.mean() < 0.5


def test_shift_adds_the_same_stain_everywhere() -> None:
    """Density 0.1 of each stain, by the matrix of Ruifrok and Johnston."""
    result = StainJitter(1.0, shift=(0.1, 0.1))(np.full((3, 4, 4), 255, np.uint8), np.random.default_rng(0))
    absorbance = -np.log10((result[:, 0, 0] + 1) / 256)
    np.testing.assert_allclose(
        absorbance, 0.1 * np.sum([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]], 0), 1e-4
    )


@pytest.mark.parametrize("transform", JITTERS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_than_rgb(transform: Intensity, channels: int) -> None:
    with pytest.raises(UserError, match=f"red, green and blue; these have {channels} channels"):
        transform(np.zeros((channels, 4, 4), np.uint8), np.random.default_rng(0))


UNITS = {"uint16": 257.0, "float32": 1 / 255}
"""The value of a level of 8 bits in images of other types."""


@pytest.mark.parametrize("transform", JITTERS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("dtype", UNITS)
@given(seed=seeds)
def test_the_type_says_what_white_is(transform: Intensity, dtype: str, seed: int) -> None:
    """The same colours in another unit stay the same colours."""
    image = photograph(seed)
    result = transform((image * UNITS[dtype]).astype(dtype), np.random.default_rng(seed))
    expected = transform(image, np.random.default_rng(seed))
    np.testing.assert_allclose(result / UNITS[dtype], expected, atol=0.01)


def test_a_white_that_is_set_is_taken() -> None:
    """Images of 12 bits in 16."""
    image = photograph(0)
    for transform in JITTERS:
        twelve = replace(transform, white=4095.0)((image * (4095 / 255)).astype(np.float32), np.random.default_rng(1))
        np.testing.assert_allclose(twelve * (255 / 4095), transform(image, np.random.default_rng(1)), atol=0.01)


# Histograms


@pytest.mark.parametrize("seed", range(10))
def test_matching_is_scikit_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.gamma(2, 10, (2, 60, 50)).astype(np.float32)
    other = rng.normal(0, 3, (2, 40, 40)).astype(np.float32)
    matched = HistogramMatching(1.0)(image, measure_intensities(image), measure_intensities(other), rng)
    assert matched.dtype == np.float32
    expected = match_histograms(image, other, channel_axis=0)
    middle = (expected > np.quantile(other, 0.05)) & (expected < np.quantile(other, 0.95))
    np.testing.assert_allclose(matched[middle], expected[middle], atol=0.3)  # of a range of about 20
    assert matched.min() >= other.min()
    assert matched.max() <= other.max()


def test_matching_to_itself_is_the_identity() -> None:
    image = photograph(0, (100, 100))
    own = measure_intensities(image)
    np.testing.assert_allclose(HistogramMatching(1.0)(image, own, own, np.random.default_rng(0)), image, atol=1e-3)


def test_the_black_around_a_scan_stays_black() -> None:
    rng = np.random.default_rng(0)
    image, other = (
        np.where(rng.random((1, 50, 50)) < share, 0, rng.integers(50, 200, (1, 50, 50))) for share in (0.7, 0.4)
    )
    matched = HistogramMatching(1.0)(image, measure_intensities(image), measure_intensities(other), rng)
    assert (matched[image == 0] == 0).all()


# In a training sample


def cases(count: int, dtype: str = "uint8") -> dict[str, ArrayCase]:
    made = {}
    for number in range(count):
        image = (photograph(number, (40, 40)) * (0.3 + 0.2 * number)).astype(np.uint8)
        label = (image[0] > 90).astype(np.uint8)
        image = (image * UNITS.get(dtype, 1)).astype(dtype)
        made[str(number)] = ArrayCase(image, label, None, (1.0, 1.0), str(number))
    return made


def sampler(augmentation: Augmentation, dtype: str = "uint8") -> PatchSampler:
    store = Cases(cases(4, dtype))
    training = TrainingCases(store, list(store), 0, 0)  # type: ignore[arg-type]
    return PatchSampler(training, (16, 16), InsideImage(0.3), augmentation, {"mask": mask}, zscore)


def test_colours_change_before_normalisation_and_leave_the_mask() -> None:
    for augmentation in (
        Augmentation(colour={"stain": StainJitter(1.0, (0.5, 1.5)), "hue": HueJitter(1.0, (0.1, 0.2))}),
        Augmentation(matching=HistogramMatching(1.0)),
    ):
        changed, plain = sampler(augmentation), sampler(Augmentation())
        different = 0
        for k in range(8):
            one, again, before = changed[k], changed[k], plain[k]
            np.testing.assert_array_equal(one["image"], again["image"])
            np.testing.assert_array_equal(one["mask"], before["mask"])
            different += not np.allclose(one["image"], before["image"], atol=1e-3)
        assert different >= 4


@pytest.mark.parametrize("matching", [None, HistogramMatching(1.0)], ids=["", "matching"])
@pytest.mark.parametrize("dtype", UNITS)
def test_several_transforms_keep_the_unit_of_the_case(dtype: str, matching: HistogramMatching | None) -> None:
    """Matching and the first jitter return float32, in which white is no 1."""
    colour = {"stain": StainJitter(1.0, (0.8, 1.2)), "hue": HueJitter(1.0, (0.1, 0.2), value=(1.0, 1.5))}
    augmentation = Augmentation(matching=matching, colour=colour)
    eight, other = sampler(augmentation), sampler(augmentation, dtype)
    for k in range(4):
        assert eight[k]["image"].std() > 0.1
        np.testing.assert_allclose(other[k]["image"], eight[k]["image"], atol=1e-3)


def test_values_beyond_white_are_refused_and_white_can_be_set() -> None:
    store = Cases(cases(1))
    store["0"] = replace(store["0"], image=store["0"].image.astype(np.float32))
    training = TrainingCases(store, ["0"], 0, 0)  # type: ignore[arg-type]
    for jitter in JITTERS:
        patches = PatchSampler(
            training, (16, 16), InsideImage(0.3), Augmentation(colour={"it": jitter}), {"mask": mask}, zscore
        )
        with pytest.raises(UserError, match=r"white is 1 in images of float32, .* up to 76: say .*\.white=255"):
            patches[0]
        told = replace(patches, augmentation=Augmentation(colour={"it": replace(jitter, white=255.0)}))
        assert told[0]["image"].std() > 0.1
