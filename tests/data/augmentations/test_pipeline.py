"""Intensity transforms: what they keep, what they change, and nothing by chance."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter
from skimage import exposure, filters
from torch.nn.functional import interpolate

from segbench.data import normalize
from segbench.data.augmentations.pipeline import (
    Augmentation,
    Blur,
    Brightness,
    Contrast,
    Gamma,
    Intensity,
    LowResolution,
    Noise,
)
from segbench.data.case import IGNORE
from segbench.data.patches import PatchSampler
from segbench.data.placement import InsideImage, TrainingCases
from segbench.data.targets import mask
from segbench.training.assembly import build_augmenter
from tests.data.arrays import ArrayCase, Cases, random_case

CONF = Path(__file__).parents[3] / "conf" / "augmentation"
EVERY: list[Intensity] = [
    Noise(1.0, (0.05, 0.1)),
    Blur(1.0, (0.5, 1.0)),
    Brightness(1.0, (-0.3, 0.3)),
    Contrast(1.0, (0.75, 1.25)),
    Contrast(1.0, (0.75, 1.25), keep_range=True),
    Gamma(1.0, (0.7, 1.5)),
    Gamma(1.0, (0.7, 1.5), invert=True),
    Gamma(1.0, (0.7, 1.5), channels_apart=True),
    LowResolution(1.0, (0.4, 0.7)),
]
NOTHING: list[Intensity] = [
    Noise(1.0, (0.0, 0.0)),
    Blur(1.0, (0.0, 0.0)),
    Brightness(1.0, (0.0, 0.0)),
    Contrast(1.0, (1.0, 1.0)),
    Gamma(1.0, (1.0, 1.0)),
    Gamma(1.0, (1.0, 1.0), invert=True),
    LowResolution(1.0, (1.0, 1.0)),
    LowResolution(1.0, (0.5, 0.5), channels=0.0),
    Blur(1.0, (2.0, 2.0), channels=0.0),
]
NEVER: list[Intensity] = [
    Noise(0.0, (9, 9)),
    Blur(0.0, (9, 9)),
    Brightness(0.0, (9, 9)),
    Contrast(0.0, (9, 9)),
    Gamma(0.0, (9, 9)),
    LowResolution(0.0, (0.1, 0.1)),
]
shapes = st.sampled_from([(1, 40, 30), (3, 33, 17), (2, 8, 12, 10)])
seeds = st.integers(0, 2**32)


def name(transform: Intensity) -> str:
    return type(transform).__name__


def picture(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Like a z-scored photograph: smooth and skewed."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = np.stack([filters.gaussian(channel, 2) for channel in noise])
    skewed = np.exp(smooth / smooth.std())
    return ((skewed - skewed.mean()) / skewed.std()).astype(np.float32)


def axes(image: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, image.ndim))


@pytest.mark.parametrize("transform", EVERY, ids=name)
@settings(deadline=None)
@given(shape=shapes, seed=seeds)
def test_contract(transform: Intensity, shape: tuple[int, ...], seed: int) -> None:
    """Float32 of the same shape, decided by the generator alone, and the argument stays as it is."""
    image = picture(shape, seed)
    before = image.copy()
    result = transform(image, np.random.default_rng(seed))
    assert result.dtype == np.float32
    assert result.shape == shape
    assert np.isfinite(result).all()
    assert not np.array_equal(result, image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(transform(image, np.random.default_rng(seed)), result)
    others = [transform(image, np.random.default_rng(seed + other)) for other in range(1, 6)]
    assert not all(np.array_equal(other, result) for other in others)


@pytest.mark.parametrize("transform", EVERY, ids=name)
@pytest.mark.parametrize("value", [0.0, -3.0, 1e4])
def test_constant_images_stay_finite(transform: Intensity, value: float) -> None:
    image = np.full((2, 20, 20), value, np.float32)
    assert np.isfinite(transform(image, np.random.default_rng(0))).all()
    image[0, 3, 3] = np.nextafter(np.float32(value), np.float32(np.inf))
    assert np.isfinite(transform(image, np.random.default_rng(0))).all()


@pytest.mark.parametrize("transform", NOTHING, ids=name)
@settings(deadline=None)
@given(shape=shapes, seed=seeds)
def test_smallest_strength_is_the_identity(transform: Intensity, shape: tuple[int, ...], seed: int) -> None:
    image = picture(shape, seed)
    np.testing.assert_allclose(transform(image, np.random.default_rng(seed)), image, atol=1e-5)


@pytest.mark.parametrize("transform", NEVER, ids=name)
def test_probability_zero_is_never(transform: Intensity) -> None:
    image = picture((1, 30, 30), 0)
    assert all(transform(image, np.random.default_rng(seed)) is image for seed in range(100))


@pytest.mark.parametrize("transform", [Noise(0.3, (1, 1)), Gamma(0.3, (2, 2))], ids=name)
def test_probability_is_the_share(transform: Intensity) -> None:
    image = picture((1, 8, 8), 0)
    changed = [transform(image, np.random.default_rng(seed)) is not image for seed in range(1000)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.05)


@settings(deadline=None)
@given(shapes, seeds, st.floats(0.7, 1.5))
def test_gamma_is_scikit_images_with_mean_and_deviation_kept(
    shape: tuple[int, ...], seed: int, exponent: float
) -> None:
    image = 2 * picture(shape, seed) + 3
    result = Gamma(1.0, (exponent, exponent))(image, np.random.default_rng(0))
    assert result.mean() == pytest.approx(image.mean(), abs=1e-4)
    assert result.std() == pytest.approx(image.std(), rel=1e-4)
    unit = (image - image.min()) / (image.max() - image.min())
    bent = exposure.adjust_gamma(unit.astype(float), exponent)
    np.testing.assert_allclose(result, (bent - bent.mean()) / bent.std() * image.std() + image.mean(), atol=1e-3)


@settings(deadline=None)
@given(shapes, seeds, st.floats(0.5, 2))
def test_contrast_keeps_means_and_scales_deviations(shape: tuple[int, ...], seed: int, factor: float) -> None:
    image = picture(shape, seed)
    result = Contrast(1.0, (factor, factor))(image, np.random.default_rng(0))
    np.testing.assert_allclose(result.mean(axes(image)), image.mean(axes(image)), atol=1e-5)
    np.testing.assert_allclose(result.std(axes(image)), image.std(axes(image)) * factor, rtol=1e-4)


@settings(deadline=None)
@given(shapes, seeds)
def test_brightness_adds_one_value_per_channel(shape: tuple[int, ...], seed: int) -> None:
    image = picture(shape, seed)
    added = Brightness(1.0, (-0.3, 0.3))(image, np.random.default_rng(seed)) - image
    assert np.ptp(added, axis=axes(image)).max() < 1e-5
    assert np.abs(added).max() <= 0.3 + 1e-5
    assert len(np.unique(added.mean(axes(image)).round(4))) == len(image)


@pytest.mark.parametrize("variance", [0.01, 0.25])
def test_noise_has_its_variance(variance: float) -> None:
    image = picture((1, 200, 200), 0)
    added = Noise(1.0, (variance, variance))(image, np.random.default_rng(0)) - image
    assert added.var() == pytest.approx(variance, rel=0.03)
    assert added.mean() == pytest.approx(0, abs=0.01)


@settings(deadline=None)
@given(shapes, seeds, st.floats(0.5, 2))
def test_blur_is_scikit_images(shape: tuple[int, ...], seed: int, sigma: float) -> None:
    """Within the channels, not across them."""
    image = picture(shape, seed)
    result = Blur(1.0, (sigma, sigma))(image, np.random.default_rng(0))
    expected = filters.gaussian(image.astype(float), sigma, mode="reflect", channel_axis=0)
    np.testing.assert_allclose(result, expected, atol=1e-4)


@settings(deadline=None)
@given(shapes, seeds, st.floats(0.7, 1.5))
def test_inverted_gamma_is_gamma_of_the_negative(shape: tuple[int, ...], seed: int, exponent: float) -> None:
    image, range_ = picture(shape, seed), (exponent, exponent)
    result = Gamma(1.0, range_, invert=True)(image, np.random.default_rng(0))
    expected = -Gamma(1.0, range_)(-image, np.random.default_rng(0))
    np.testing.assert_allclose(result, expected, atol=1e-3)
    assert np.corrcoef(result.ravel(), image.ravel())[0, 1] > 0.8


@given(shapes, seeds, st.floats(0.5, 2))
def test_brightness_multiplies(shape: tuple[int, ...], seed: int, factor: float) -> None:
    image = picture(shape, seed)
    result = Brightness(1.0, factor=(factor, factor))(image, np.random.default_rng(0))
    np.testing.assert_allclose(result, image * factor, rtol=1e-5)


@given(seeds, st.floats(0.3, 1))
def test_low_resolution_is_pytorchs(seed: int, zoom: float) -> None:
    """Nearest pixels down, bicubic up (nnU-Net), by `torch.nn.functional.interpolate`."""
    image = picture((2, 33, 20), seed)
    result = LowResolution(1.0, (zoom, zoom))(image, np.random.default_rng(0))
    small = (max(1, round(33 * zoom)), max(1, round(20 * zoom)))
    down = interpolate(torch.from_numpy(image)[None], small, mode="nearest-exact")
    np.testing.assert_allclose(result, interpolate(down, (33, 20), mode="bicubic")[0], atol=1e-4)


def test_low_resolution_of_the_axes_asked_for() -> None:
    """Slices stay apart: each is what it is alone."""
    image = picture((1, 6, 20, 22), 0)
    result = LowResolution(1.0, (0.5, 0.5), axes=[1, 2])(image, np.random.default_rng(0))
    for depth in range(6):
        alone = LowResolution(1.0, (0.5, 0.5))(image[:, depth], np.random.default_rng(0))
        np.testing.assert_allclose(result[:, depth], alone, atol=1e-5)


@pytest.mark.parametrize("transform", [Blur(1.0, (1, 1), 0.5), LowResolution(1.0, (0.5, 0.5), 0.5)], ids=name)
def test_share_of_the_channels(transform: Intensity) -> None:
    image = picture((100, 8, 8), 0)
    changed = (transform(image, np.random.default_rng(0)) != image).any(axis=(1, 2))
    assert changed.mean() == pytest.approx(0.5, abs=0.15)


def test_something_that_is_no_transform() -> None:
    with pytest.raises(ValueError, match=r"intensity\.blur=None: must have a _target_; ~augmentation\.intensity\.blur"):
        Augmentation(intensity={"blur": None})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="intensity: must be transforms by name"):
        Augmentation(intensity=[Noise(1.0, (0, 1))])  # type: ignore[arg-type]


def composed(*overrides: str) -> Augmentation:
    with initialize_config_dir(str(CONF.parent), version_base="1.3"):
        node = compose("train", overrides=["augmentation=standard", *overrides]).augmentation
    augmentation = instantiate(node, _convert_="all")
    assert isinstance(augmentation, Augmentation)
    return augmentation


def test_one_value_is_changed_and_one_transform_left_out() -> None:
    """On the command line, the others in their order."""
    assert list(composed().intensity) == ["noise", "blur", "brightness", "contrast", "gamma"]
    changed = composed("augmentation.intensity.noise.probability=0.5", "~augmentation.intensity.blur")
    assert list(changed.intensity) == ["noise", "brightness", "contrast", "gamma"]
    noise = changed.intensity["noise"]
    assert isinstance(noise, Noise)
    assert (noise.probability, list(noise.variance)) == (0.5, [0.0, 0.1])
    assert composed("augmentation.spatial.elastic=null").spatial.elastic is None


def three_channels(shape: tuple[int, ...]) -> ArrayCase:
    case = random_case(np.random.default_rng(0), shape)
    image = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    return ArrayCase(image, case.label, case.instances, case.spacing)


FILES = sorted(path for path in CONF.glob("*.yaml") if path.stem != "albumentations_file")
FOR_IMAGES = [path for path in FILES if path.stem.startswith("albumentations")]


@pytest.mark.parametrize(
    ("file", "shape"),
    [
        (file, shape)
        for file in FILES
        for shape in ((40, 50), (16, 20, 18))
        if len(shape) == 2 or file not in FOR_IMAGES
    ],
    ids=lambda value: getattr(value, "stem", None),
)
def test_configured_augmentations_make_samples(file: Path, shape: tuple[int, ...]) -> None:
    """In images and in volumes, each sample from its number alone."""
    augmentation = build_augmenter(OmegaConf.load(file))
    assert isinstance(augmentation, Augmentation) == (file not in FOR_IMAGES)
    store = Cases(case=three_channels(shape))
    training = TrainingCases(store, ["case"], 0, 0)  # type: ignore[arg-type]
    sampler = PatchSampler(
        training, (16,) * len(shape), InsideImage(0.5), augmentation, {"mask": mask}, normalize.zscore
    )
    for k in range(40):
        sample = sampler[k]
        assert sample["image"].isfinite().all()
        assert set(np.unique(sample["mask"])) <= {0, 1, 2, 3, IGNORE}
    again = sampler[17]
    assert all(torch.equal(sampler[17][key], again[key]) for key in ("image", "mask"))


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.0, 2.0])
@pytest.mark.parametrize("shape", [(2, 9, 12, 10), (1, 3, 20, 4)])
def test_blur_of_volumes_is_scipys(sigma: float, shape: tuple[int, ...]) -> None:
    image = picture(shape, 0)
    expected = np.stack([gaussian_filter(channel, sigma) for channel in image])
    np.testing.assert_allclose(Blur(1.0, (sigma, sigma))(image, np.random.default_rng(0)), expected, atol=1e-5)


def test_contrast_can_keep_the_range_of_each_channel() -> None:
    image = picture((2, 30, 30), 0)
    stronger = Contrast(1.0, (1.5, 1.5), keep_range=True)(image, np.random.default_rng(0))
    free = Contrast(1.0, (1.5, 1.5))(image, np.random.default_rng(0))
    for channel, kept, other in zip(image, stronger, free, strict=True):
        np.testing.assert_allclose(kept, np.clip(other, channel.min(), channel.max()))
        assert other.max() > channel.max()


def test_gamma_of_channels_apart() -> None:
    image = picture((2, 30, 30), 0) * np.float32(3) + np.arange(2, dtype=np.float32).reshape(2, 1, 1)
    apart = Gamma(1.0, (0.5, 0.5), channels_apart=True)(image, np.random.default_rng(0))
    for channel, found in zip(image, apart, strict=True):
        alone = Gamma(1.0, (0.5, 0.5))(channel[None], np.random.default_rng(0))[0]
        np.testing.assert_allclose(found, alone, atol=1e-5)


def test_low_resolution_of_flat_patches_is_within_slices() -> None:
    image = picture((1, 4, 20, 20), 0)
    flat = LowResolution(1.0, (0.5, 0.5), flat_patch=3.0)(image, np.random.default_rng(0))
    within = LowResolution(1.0, (0.5, 0.5), axes=[1, 2])(image, np.random.default_rng(0))
    np.testing.assert_array_equal(flat, within)
    cube = LowResolution(1.0, (0.5, 0.5), flat_patch=3.0)(image[..., :12, :12], np.random.default_rng(0))
    whole = LowResolution(1.0, (0.5, 0.5))(image[..., :12, :12], np.random.default_rng(0))
    np.testing.assert_array_equal(cube, whole)
