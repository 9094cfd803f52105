"""What holds for every pair of masks or objects, tried on drawn ones."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from segbench.metrics import objects as of_objects
from segbench.metrics.mask_pair import MaskPair
from segbench.metrics.object_matching import InstancePair
from segbench.metrics.overlap import dice, iou, precision, recall, volume_difference
from segbench.metrics.surface import assd, hd, hd95, normalised_surface_dice

SHAPES = array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=7)


@st.composite
def masks(draw):
    """Two masks that are not empty, and a spacing."""
    shape = draw(SHAPES)
    predicted, true = (draw(arrays(bool, shape)) for _ in range(2))
    assume(predicted.any() and true.any())
    return predicted, true, draw(st.tuples(*[st.sampled_from([0.25, 1.0, 1.5, 4.0])] * len(shape)))


@st.composite
def objects(draw):
    """Two maps of at most four objects each, neither of them empty."""
    shape = draw(SHAPES)
    predicted, true = (draw(arrays(np.int32, shape, elements=st.integers(0, 4))) for _ in range(2))
    assume(predicted.any() and true.any())
    return predicted, true, (1.0,) * len(shape)


@given(masks())
def test_iou_follows_from_dice(case):
    pair = MaskPair(*case)
    assert iou(pair) == pytest.approx(dice(pair) / (2 - dice(pair)))


@given(masks())
def test_dice_is_the_harmonic_mean_of_precision_and_recall(case):
    pair = MaskPair(*case)
    total = precision(pair) + recall(pair)
    assert dice(pair) == pytest.approx(2 * precision(pair) * recall(pair) / total if total else 0)


@given(masks())
def test_masks_may_change_places(case):
    predicted, true, spacing = case
    pair, swapped = MaskPair(predicted, true, spacing), MaskPair(true, predicted, spacing)
    for metric in (dice, iou, volume_difference, hd, hd95, assd):
        assert metric(pair) == pytest.approx(metric(swapped))
    assert precision(pair) == recall(swapped)


@given(masks())
def test_a_mask_is_perfect_for_itself(case):
    true, _, spacing = case
    pair = MaskPair(true, true, spacing)
    assert dice(pair) == iou(pair) == normalised_surface_dice(pair, 0.0) == 1
    assert hd(pair) == hd95(pair) == assd(pair) == volume_difference(pair) == 0


@given(masks())
def test_hausdorff_distance_is_the_largest(case):
    pair = MaskPair(*case)
    assert hd95(pair, "max") <= hd(pair)
    assert hd95(pair, "pooled") <= hd(pair)
    assert assd(pair) <= hd(pair) * (1 + 1e-6)
    assert hd(pair) < pair.empty_distance


@given(masks(), st.floats(0.01, 100))
def test_distances_scale_with_the_spacing(case, factor):
    predicted, true, spacing = case
    pair = MaskPair(predicted, true, spacing)
    scaled = MaskPair(predicted, true, [factor * step for step in spacing])
    for metric in (hd, hd95, assd):
        assert metric(scaled) == pytest.approx(factor * metric(pair), rel=1e-5)


@given(masks(), st.floats(0, 20), st.floats(0, 20))
def test_surface_dice_grows_with_the_tolerance(case, one, other):
    pair = MaskPair(*case)
    assert normalised_surface_dice(pair, min(one, other)) <= normalised_surface_dice(pair, max(one, other))
    assert normalised_surface_dice(pair, hd(pair)) == 1


@given(masks(), st.integers(0, 3))
def test_empty_space_around_changes_no_score_but_specificity(case, margin):
    predicted, true, spacing = case
    pair = MaskPair(predicted, true, spacing)
    padded = MaskPair(np.pad(predicted, margin), np.pad(true, margin), spacing)
    for metric in (dice, iou, precision, recall, hd, hd95, assd):
        assert metric(padded) == metric(pair)


@settings(deadline=None)
@given(objects(), st.permutations(range(1, 5)), st.integers(1, 2**29 - 1))
def test_numbers_of_of_objectsdo_not_matter(case, order, stride):
    predicted, true, spacing = case
    numbers = np.array([0, *order], dtype=np.int32) * stride
    pair, renamed = InstancePair(predicted, true, spacing), InstancePair(numbers[predicted], true, spacing)
    for metric in (
        of_objects.object_precision,
        of_objects.object_recall,
        of_objects.object_f1,
        of_objects.average_precision,
        of_objects.panoptic_quality,
        of_objects.object_dice,
        of_objects.adapted_rand_error,
        of_objects.rand_score,
    ):
        assert metric(renamed) == pytest.approx(metric(pair), abs=1e-12), metric.__name__


@given(objects())
def test_panoptic_quality_is_f1_times_segmentation_quality(case):
    pair = InstancePair(*case)
    assert of_objects.panoptic_quality(pair) == pytest.approx(
        of_objects.object_f1(pair) * of_objects.segmentation_quality(pair)
    )


@given(objects(), st.floats(0, 1), st.floats(0, 1))
def test_fewer_of_objectsmatch_at_a_higher_threshold(case, one, other):
    pair = InstancePair(*case)
    assert of_objects.object_f1(pair, max(one, other)) <= of_objects.object_f1(pair, min(one, other))


@settings(deadline=None)
@given(objects())
def test_of_objectsare_perfect_for_themselves(case):
    true, _, spacing = case
    pair = InstancePair(true, true, spacing)
    assert (
        of_objects.object_f1(pair, 0.95) == of_objects.average_precision(pair) == of_objects.panoptic_quality(pair) == 1
    )
    assert of_objects.object_dice(pair) == of_objects.rand_score(pair) == 1
    assert of_objects.object_hausdorff(pair) == of_objects.adapted_rand_error(pair) == 0
