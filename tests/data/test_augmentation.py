"""Intensity transforms: what they keep, what they change, and nothing by chance."""

from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from skimage import exposure, filters

from segbench.data import normalize
from segbench.data.augmentation import Augmentation, Blur, Brightness, Contrast, Gamma, Intensity, Noise
from segbench.data.case import IGNORE
from segbench.data.patches import PatchSampler
from segbench.data.targets import mask
from tests.data.arrays import random_case

CONF = Path(__file__).parents[2] / "conf" / "augmentation"
EVERY: list[Intensity] = [
    Noise(1.0, (0.05, 0.1)),
    Blur(1.0, (0.5, 1.0)),
    Brightness(1.0, (-0.3, 0.3)),
    Contrast(1.0, (0.75, 1.25)),
    Gamma(1.0, (0.7, 1.5)),
]
NOTHING: list[Intensity] = [
    Noise(1.0, (0.0, 0.0)),
    Blur(1.0, (0.0, 0.0)),
    Brightness(1.0, (0.0, 0.0)),
    Contrast(1.0, (1.0, 1.0)),
    Gamma(1.0, (1.0, 1.0)),
]
NEVER: list[Intensity] = [
    Noise(0.0, (9, 9)),
    Blur(0.0, (9, 9)),
    Brightness(0.0, (9, 9)),
    Contrast(0.0, (9, 9)),
    Gamma(0.0, (9, 9)),
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
    assert not np.array_equal(transform(image, np.random.default_rng(seed + 1)), result)


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


@pytest.mark.parametrize("file", sorted(CONF.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("shape", [(40, 50), (16, 20, 18)])
def test_configured_augmentations_make_samples(file: Path, shape: tuple[int, ...]) -> None:
    augmentation = instantiate(OmegaConf.load(file), _convert_="all")
    assert isinstance(augmentation, Augmentation)
    case = random_case(np.random.default_rng(0), shape)
    sampler = PatchSampler(
        {"case": case}, ["case"], (16,) * len(shape), 0.5, augmentation, {"mask": mask}, normalize.zscore, 0, 0
    )
    for k in range(40):
        sample = sampler[k]
        assert sample["image"].isfinite().all()
        assert set(np.unique(sample["mask"])) <= {0, 1, 2, 3, IGNORE}
