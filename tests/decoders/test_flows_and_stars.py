"""Flows and stars of known objects lead back to these objects."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from segbench.data.targets.contours import ClassesAndBorder
from segbench.data.targets.distances import OuterDistance
from segbench.data.targets.flows import GradientFlow
from segbench.data.targets.stars import UNIT, StarDistances, directions
from segbench.decoders.border_class import BorderClass
from segbench.decoders.flows import Flows, follow
from segbench.decoders.stars import Stars, star
from segbench.errors import UserError
from tests.data.targets.samples import sample_of
from tests.decoders.test_by_heads import discs, mask_outputs, objects_match, sure

SIZES = [(40, 60), (40, 20, 60)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_flows_lead_to_the_objects(size: tuple[int, ...], factor: float) -> None:
    """Also times 5, as the authors' network has them: steps are no longer than a pixel."""
    instances = discs(size)
    flow = torch.from_numpy(factor * GradientFlow()(sample_of(instances)))
    outputs = mask_outputs(instances) | {"flows": flow}
    label = (instances > 0).astype(np.uint8)
    found = Flows(steps=60).instances(outputs, label)
    assert found.dtype == np.int32
    assert objects_match(found, instances, 0.97)
    assert not found[label == 0].any()


def test_points_follow_an_interpolated_flow() -> None:
    """Against Euler steps with SciPy's linear interpolation."""
    rng = np.random.default_rng(0)
    flow = rng.uniform(-0.6, 0.6, (2, 15, 19)).astype(np.float32)
    starts = np.argwhere(rng.random((15, 19)) > 0.8)
    expected = starts.astype(float)
    for _ in range(7):
        step = np.stack([map_coordinates(channel, expected.T, order=1, mode="nearest") for channel in flow], axis=1)
        expected = np.clip(expected + step, 0, [14, 18])
    np.testing.assert_allclose(follow(torch.from_numpy(flow), starts, 7), expected, atol=1e-3)


def test_pixels_that_flow_nowhere_are_of_no_object() -> None:
    label = np.zeros((12, 14), np.uint8)
    label[3:5, 3:6] = label[11, ::4] = 1
    outputs: dict[str, Tensor] = {"mask": sure(label), "flows": torch.zeros(2, 12, 14)}
    found = Flows(least=5).instances(outputs, label)
    np.testing.assert_array_equal(found > 0, (label > 0) & (np.indices(label.shape)[0] < 6))
    assert not Flows(least=30).instances(outputs, label).any()
    empty = {"mask": sure(np.zeros((12, 14))), "flows": torch.zeros(2, 12, 14)}
    assert not Flows().instances(empty, np.zeros((12, 14), np.uint8)).any()
    with pytest.raises(UserError, match=r"decoder\.head=flows: has 3 channels, not one for each axis of the image"):
        Flows().instances({"flows": torch.zeros(3, 12, 14)}, np.ones((12, 14), np.uint8))


@pytest.mark.parametrize(("size", "rays"), [((40, 60), 32), ((40, 20, 60), 96)])
def test_stars_lead_to_the_objects(size: tuple[int, ...], rays: int) -> None:
    instances = discs(size)
    sample = sample_of(instances)
    stars = torch.from_numpy(np.nan_to_num(StarDistances(rays)(sample)))
    outputs = mask_outputs(instances) | {"stars": stars, "outer_distance": torch.from_numpy(OuterDistance()(sample))}
    label = (instances > 0).astype(np.uint8)
    found = Stars().instances(outputs, label)
    assert found.dtype == np.int32
    assert objects_match(found, instances, 0.85)


def test_a_star_of_equal_distances_is_a_disc() -> None:
    disc = np.zeros((31, 31), bool)
    disc[star(np.array([15, 15]), np.full(64, 9.0), directions(64, 2), (31, 31))] = True
    expected = np.hypot(*(np.indices((31, 31)) - 15)) <= 9
    assert (disc & expected).sum() / (disc | expected).sum() > 0.97
    ball = np.zeros((21, 21, 21), bool)
    ball[star(np.array([10, 10, 10]), np.full(96, 7.0), directions(96, 3), ball.shape)] = True
    np.testing.assert_array_equal(ball, (np.indices((21, 21, 21)) - 10).astype(float).__pow__(2).sum(0) <= 49)
    assert star(np.array([0, 0]), np.full(8, 5.0), directions(8, 2), (31, 31))[0].min() >= 0


def test_stars_that_overlap_better_ones_are_dropped() -> None:
    """Two centres in one disc, the worse of which is hidden; a third far away stays."""
    size = (30, 60)
    distances = np.zeros((16, *size), np.float32)
    score = np.zeros((1, *size), np.float32)
    for place, radius, value in [((15, 15), 9, 0.9), ((15, 26), 9, 0.8), ((15, 45), 9, 0.7), ((5, 45), 2, 0.1)]:
        distances[(slice(None), *place)] = radius
        score[(0, *place)] = value
    outputs = {
        "mask": sure(np.ones(size)),
        "stars": torch.from_numpy(distances / np.float32(UNIT)),
        "outer_distance": torch.from_numpy(score),
    }
    label = np.ones(size, np.uint8)
    assert Stars(overlap=0.2).instances(outputs, label).max() == 2
    found = Stars(overlap=0.6).instances(outputs, label)
    assert found.max() == 3
    assert found[15, 20] == found[15, 15]  # the better one has the pixels of both


@pytest.mark.parametrize("size", SIZES)
def test_borders_keep_objects_apart_and_belong_to_them(size: tuple[int, ...]) -> None:
    instances = discs(size)
    logits = sure(ClassesAndBorder(2)(sample_of(instances)), 3)
    decoder = BorderClass()
    label = decoder.label({"classes_and_border": logits}, torch.zeros(1, *size))
    np.testing.assert_array_equal(label, instances > 0)
    assert objects_match(decoder.instances({"classes_and_border": logits}, label), instances, 0.9)


def test_a_border_is_of_the_likeliest_class() -> None:
    logits = torch.tensor([[0.0, 5.0], [1.0, 0.0], [2.0, 0.0], [9.0, 1.0]])[:, None]  # border; background
    label = BorderClass().label({"classes_and_border": logits}, torch.zeros(1, 1, 2))
    np.testing.assert_array_equal(label, [[2, 0]])
