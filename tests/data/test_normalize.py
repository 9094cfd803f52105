"""Normalisation: each channel by the statistics that are given for it."""

import numpy as np
import pytest
import torch
from torchvision.transforms._presets import ImageClassification

from segbench.data import normalize
from segbench.data.case_meta import measure_intensities
from segbench.errors import UserError

DTYPES = (np.uint8, np.uint16, np.float32)


def picture(dtype: type) -> np.ndarray:
    """Two channels of different range."""
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, 200, (30, 30)), rng.integers(50, 90, (30, 30))]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zscore(dtype: type) -> None:
    image = picture(dtype)
    values = image.astype(float)
    expected = (values - values.mean((1, 2), keepdims=True)) / values.std((1, 2), keepdims=True)
    np.testing.assert_allclose(normalize.zscore(image, measure_intensities(image)), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_percentile(dtype: type) -> None:
    image = picture(dtype)
    result = normalize.percentile(image, measure_intensities(image))
    for scaled, channel in zip(result, image.astype(float), strict=True):
        expected = np.interp(channel, np.percentile(channel, (0.5, 99.5)), (-1, 1))
        np.testing.assert_allclose(scaled, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", normalize.NORMALIZATIONS)
def test_contract(name: str, dtype: type) -> None:
    """Float32; the argument stays as it is; part of an image is scaled like the whole."""
    image = picture(dtype)[[0, 1, 0]]
    before = image.copy()
    function, statistics = normalize.NORMALIZATIONS[name], measure_intensities(image)
    result = function(image, statistics)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(image, before)
    assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(function(image[:, 3:9, 4:8], statistics), result[:, 3:9, 4:8])


def test_none_changes_no_value() -> None:
    image = picture(np.uint16)
    np.testing.assert_array_equal(normalize.none(image, measure_intensities(image)), image)


@pytest.mark.parametrize("name", ["zscore", "percentile"])
def test_constant_channel_becomes_zero(name: str) -> None:
    image = np.full((1, 20, 20), 7, np.uint8)
    assert not normalize.NORMALIZATIONS[name](image, measure_intensities(image)).any()


def test_specks_do_not_make_a_range() -> None:
    """Where both percentiles are the same value, nothing can be scaled by them."""
    image = np.zeros((1, 50, 50), np.uint8)
    image[0, 3, 4] = 200
    assert not normalize.percentile(image, measure_intensities(image)).any()


def test_imagenet_is_what_the_weights_of_torchvision_ask_for() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 224, 224), dtype=np.uint8)
    preset = ImageClassification(crop_size=224, resize_size=224)
    result = normalize.imagenet(image, measure_intensities(image))
    np.testing.assert_allclose(result, preset(torch.from_numpy(image)), atol=1e-5)
    grey = np.repeat(image[:1], 3, axis=0)
    of_three = normalize.imagenet(grey, measure_intensities(grey)).mean(axis=0)
    of_one = normalize.imagenet(image[:1], measure_intensities(image[:1]))[0]
    np.testing.assert_allclose(of_one, of_three, atol=0.02)


def test_unit() -> None:
    image = picture(np.uint8)
    np.testing.assert_allclose(normalize.unit(image, measure_intensities(image)), image / 255, atol=1e-6)


@pytest.mark.parametrize("name", ["unit", "imagenet"])
def test_more_than_8_bits_have_no_fixed_scale(name: str) -> None:
    image = picture(np.uint16)[[0, 1, 0]] * 9
    with pytest.raises(UserError, match=rf"data.normalize={name} is for .* 8 bits, up to 255, not 1"):
        normalize.NORMALIZATIONS[name](image, measure_intensities(image))


def test_imagenet_has_no_two_channels() -> None:
    image = picture(np.uint8)
    with pytest.raises(UserError, match=r"3 channels .* or 1 .*, not for 2"):
        normalize.imagenet(image, measure_intensities(image))
