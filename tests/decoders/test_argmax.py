"""The arg-max decoder against numpy and scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import measure

from segbench.decoders.argmax import Argmax

shapes = st.sampled_from([(1, 1), (12, 9), (5, 6, 7)])
seeds = st.integers(0, 2**32)


def label_map(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, shape, dtype=np.uint8)


@settings(deadline=None)
@given(shapes, seeds, st.sampled_from([torch.float32, torch.bfloat16]))
def test_label_is_the_largest_logit(shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> None:
    logits = torch.randn(5, *shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    label = Argmax().label({"other": -logits, "mask": logits}, torch.zeros(1, *shape))
    assert label.dtype == np.uint8
    assert label.shape == shape
    chosen = np.take_along_axis(logits.float().numpy(), label[None].astype(int), 0)[0]
    np.testing.assert_array_equal(chosen, logits.float().numpy().max(0))


@settings(deadline=None)
@given(shapes, seeds, st.integers(1, 3), st.sampled_from([None, 0, 2]))
def test_instances_are_the_connected_regions_of_each_class(
    shape: tuple[int, ...], seed: int, connectivity: int, background: int | None
) -> None:
    label = label_map(shape, seed)
    instances = Argmax(connectivity, 0, background).instances({}, label)
    assert instances.dtype == np.int32
    # scikit-image tells regions of different values apart by itself; its background is -1 here.
    expected = measure.label(
        np.where(label == (-1 if background is None else background), -1, label.astype(int)),
        background=-1,
        connectivity=min(connectivity, len(shape)),
    )
    # The same objects, whatever their numbers: pairs of numbers match one to one.
    pairs = np.unique(np.stack([instances.ravel(), expected.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    np.testing.assert_array_equal(instances == 0, expected == 0)
    assert set(np.unique(instances[instances > 0])) == set(range(1, instances.max() + 1))


@settings(deadline=None)
@given(shapes, seeds, st.integers(0, 6), st.integers(1, 2))
def test_small_objects_are_left_out(shape: tuple[int, ...], seed: int, minimum: int, connectivity: int) -> None:
    label = label_map(shape, seed)
    every = Argmax(connectivity).instances({}, label)
    large = Argmax(connectivity, minimum).instances({}, label)
    kept = [region for region in measure.regionprops(every) if region.area >= minimum]
    sizes = np.bincount(large.ravel())[1:]
    np.testing.assert_array_equal(sizes, [region.area for region in kept])
    np.testing.assert_array_equal(large > 0, np.isin(every, [region.label for region in kept]))


def test_diagonal_neighbours() -> None:
    label = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 2]], np.uint8)
    assert Argmax(connectivity=1).instances({}, label).max() == 3
    np.testing.assert_array_equal(Argmax(connectivity=2).instances({}, label), label)


@pytest.mark.parametrize("value", [0, 1])
def test_images_of_one_class(value: int) -> None:
    label = np.full((4, 5), value, np.uint8)
    np.testing.assert_array_equal(Argmax().instances({}, label), value)
