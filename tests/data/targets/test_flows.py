"""Flows against heat that is computed one object and one pixel at a time."""

import numpy as np
import pytest

from segbench.data.targets.flows import GradientFlow
from segbench.errors import UserError
from tests.data.targets.samples import cells, sample_of, square


def heat_of_one(inside: np.ndarray, steps: int) -> np.ndarray:
    """The heat (*S) of an object in the middle of an array, pixel by pixel."""
    places = np.argwhere(inside)
    middle = tuple(places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()])
    now = np.zeros(inside.shape)
    for _ in range(steps):
        now[middle] += 1
        after = np.zeros_like(now)
        for place in places:
            after[tuple(place)] = now[tuple(slice(k - 1, k + 2) for k in place)].mean()
        now = after
    return now


@pytest.mark.parametrize("size", [(22, 26), (9, 10, 11)])
def test_flows_by_brute_force(size: tuple[int, ...]) -> None:
    """Objects that touch, and that are cut off, are each as if alone; what stands still is where all is symmetric."""
    instances = cells(size, 6)
    found = GradientFlow(steps=1.0)(sample_of(instances))
    assert found.shape == (len(size), *size)
    assert found.dtype == np.float32
    assert not found[:, instances == 0].any()
    longest: dict[int, int] = {}  # those of a size have as many steps as the largest
    boxes = {}
    for number in np.unique(instances[instances > 0]):
        places = np.argwhere(instances == number)
        extent = np.ptp(places, axis=0) + 1
        boxes[number] = int(extent.max()).bit_length()
        longest[boxes[number]] = max(longest.get(boxes[number], 0), int(extent.sum()))
    for number, group in boxes.items():
        inside = np.pad(instances == number, 1)
        warmth = np.log1p(heat_of_one(inside, longest[group]))
        gradient = np.stack([np.gradient(warmth, axis=axis) for axis in range(len(size))])[:, inside]
        length = np.linalg.norm(gradient, axis=0)
        moving = length > 1e-6
        here = found[:, instances == number]
        np.testing.assert_allclose(here[:, moving], (gradient / length.clip(1e-30))[:, moving], atol=2e-3)


def test_flows_of_a_square_point_to_its_middle() -> None:
    found = GradientFlow()(sample_of(square()))
    np.testing.assert_allclose(found[0, 2:9, 5], [1, 1, 1, 0, -1, -1, -1], atol=1e-5)
    np.testing.assert_allclose(found[1, 2:9, 5], 0, atol=1e-5)
    np.testing.assert_allclose(found[1, 5, 2:9], [1, 1, 1, 0, -1, -1, -1], atol=1e-5)
    corner = found[:, 2, 2]
    np.testing.assert_allclose(corner, np.sqrt(0.5), atol=1e-4)


def test_flows_turn_with_the_image() -> None:
    instances = cells((30, 34), 7)
    found = GradientFlow()(sample_of(instances))
    turned = GradientFlow()(sample_of(np.rot90(instances).copy()))
    back = np.rot90(turned, -1, axes=(1, 2))
    near = np.abs(np.stack([back[1], -back[0]]) - found).max(axis=0) < 1e-3
    assert near[instances > 0].mean() > 0.97  # a centre between pixels is one of them


def test_single_pixels_and_nothing() -> None:
    lonely = np.zeros((5, 6), np.int32)
    assert not GradientFlow()(sample_of(lonely)).any()
    lonely[0, 0] = lonely[4, 5] = 3
    lonely[2, 2] = 9
    assert np.isfinite(GradientFlow()(sample_of(lonely))).all()


def test_ignored_and_refused() -> None:
    label = np.zeros((11, 13), np.uint8)
    label[:, :3] = 255
    np.testing.assert_array_equal(np.isnan(GradientFlow()(sample_of(square(), label))[0]), label == 255)
    with pytest.raises(UserError, match="flows are made from objects"):
        GradientFlow()(sample_of(None, label))
    with pytest.raises(UserError, match="steps=0: must be above 0"):
        GradientFlow(steps=0)
