"""Whole images from classifiers of patches: against brute force and by identities."""

import itertools
import logging

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segbench.data.patches import mirror
from segbench.data.sample import Sample
from segbench.data.targets import centre
from segbench.errors import UserError
from segbench.inference import DensePatches
from segbench.inference.dense_patches import painting, patch_centres, squared_spline


def draw(*size):
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def classifier(patches):
    """A number for each patch that depends on where in it things are, and a second head."""
    ramp = torch.linspace(0, 1, patches[0, 0].numel()).view(patches.shape[2:])
    logits = torch.cat([(patches * ramp).sum((2, 3)), (patches**2).mean((2, 3))], dim=1)[..., None, None]
    return {"mask": logits, "other": logits[:, :1] * 2}


def patch_around(image, window, *centre):
    """By the definition: pixel (P - 1) // 2 of the patch is the centre, and beyond the image it is mirrored."""
    lines = [
        mirror(np.arange(extent) - (extent - 1) // 2 + place, length)
        for extent, place, length in zip(window, centre, image.shape[2:], strict=True)
    ]
    return image[:, :, torch.from_numpy(lines[0])][:, :, :, torch.from_numpy(lines[1])]


def same(result, expected):
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", [(9, 9), (8, 11)])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_every_pixel_by_itself(window, batch_size):
    """Stride 1, and painted on the centre alone: what the classifier says of each pixel's patch."""
    image = draw(2, 3, 12, 10)
    result = DensePatches(window, stride=1, spread=1, batch_size=batch_size)(classifier, image)
    for y, x in itertools.product(range(12), range(10)):
        expected = classifier(patch_around(image, window, y, x))
        same(result["mask"][:, :, y, x], expected["mask"][..., 0, 0])
        same(result["other"][:, :, y, x], expected["other"][..., 0, 0])


@pytest.mark.parametrize(("stride", "spread"), [(1, 5), (3, 7), (4, 8), (5, 6)])
def test_same_as_painting_patch_after_patch(stride, spread):
    image, window = draw(1, 2, 23, 17), (8, 8)
    sums, weights = torch.zeros(1, 4, 23, 17), torch.zeros(23, 17)
    for y, x in itertools.product(patch_centres(23, stride), patch_centres(17, stride)):
        logits = classifier(patch_around(image, window, y, x))["mask"]
        lines = [
            squared_spline((1 - (torch.arange(length) - at).abs() / (spread / 2)).clamp(min=0))
            for at, length in ((y, 23), (x, 17))
        ]
        weight = torch.outer(*lines)
        sums += logits * weight
        weights += weight
    assert (weights > 0).all()
    same(DensePatches(window, stride, spread)(classifier, image)["mask"], sums / weights)


@pytest.mark.parametrize("window", [(9, 9), (8, 11), (1, 2)])
def test_the_centre_is_the_pixel_whose_class_is_learnt(window):
    label = torch.arange(window[0] * window[1], dtype=torch.uint8).view(1, 1, *window)
    inference = DensePatches(window, stride=1, spread=1)
    seen = inference(lambda patches: {"mask": patches.float()}, label)["mask"]
    learnt = centre(Sample(label, label[0, 0].numpy()))
    assert learnt.dtype == np.int64
    assert learnt.shape == (1, 1)
    assert seen[0, 0, (window[0] - 1) // 2, (window[1] - 1) // 2] == learnt.item()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [(40, 31), (5, 3), (1, 1)])
def test_a_constant_network_gives_a_constant_map(size, mirrored):
    inference = DensePatches((24, 24), mirror=mirrored, rotate=mirrored)
    result = inference(lambda patches: {"mask": patches.new_full((len(patches), 2, 1, 1), 7)}, draw(2, 1, *size))
    same(result["mask"], torch.full((2, 2, *size), 7.0))


@given(st.integers(1, 300), st.integers(1, 50), st.integers(0, 50))
def test_every_pixel_has_a_weight(length, stride, more):
    centres = patch_centres(length, stride)
    assert centres[0] == 0
    assert centres[-1] == length - 1
    assert all(0 < gap <= stride for gap in np.diff(centres))
    spread = stride + 1 - stride % 2 + more  # the smallest allowed, and larger
    shares = painting(centres, length, spread)
    assert shares.isfinite().all()
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(0), torch.ones(length))


def test_squared_splines_half_a_width_apart_sum_to_one():
    t = torch.linspace(0, 1, 101)
    torch.testing.assert_close(squared_spline(t) + squared_spline(1 - t), torch.ones(101))
    assert squared_spline(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == [0, 0.125, 0.5, 0.875, 1]


def test_defaults_are_the_papers():
    """A stride of 42 pixels for patches of 512, and the central 2 x 64 pixels."""
    inference = DensePatches((512, 512))
    assert (inference.stride, inference.spread) == (42, 128)


def test_centre_of_a_network_that_predicts_more():
    image = draw(1, 1, 9, 9)
    same(DensePatches((4, 7), stride=1, spread=1)(lambda patches: {"mask": patches}, image)["mask"], image)


def test_mirrored_versions_are_averaged():
    image, window = draw(1, 1, 6, 6), (5, 5)
    result = DensePatches(window, stride=1, spread=1, mirror=True)(classifier, image)["mask"]
    patch = patch_around(image, window, 2, 4)
    expected = torch.stack([classifier(patch.flip(axes))["mask"] for axes in ([], [2], [3], [2, 3])]).mean(0)
    same(result[:, :, 2:3, 4:5], expected)


def test_small_images_are_mentioned_once(caplog):
    inference = DensePatches((16, 16))
    with caplog.at_level(logging.INFO):
        inference(classifier, draw(1, 1, 20, 20))
        assert not caplog.messages
        for _ in range(2):
            inference(classifier, draw(1, 1, 20, 7))
    (message,) = caplog.messages
    assert message.endswith(
        "sees patches of 16 x 16 pixels; images that are smaller, such as 20 x 7, are padded by mirroring"
    )


@pytest.mark.parametrize("options", [{"stride": 4, "spread": 3}, {"stride": 0}, {"stride": 4, "spread": 4}])
def test_gaps_are_refused(options):
    with pytest.raises(UserError, match="pixels between the patches would get nothing"):
        DensePatches((24, 24), **options)
