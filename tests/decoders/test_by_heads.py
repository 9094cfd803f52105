"""Objects by contours, by peaks and by seeds: drawn outputs whose objects are known."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_fill_holes
from scipy.ndimage import label as connected_components
from torch import Tensor

from segbench.data.targets.contours import Contour
from segbench.data.targets.distances import DistanceTransform, InnerDistance, OuterDistance
from segbench.decoders.by_heads import head_of, heights
from segbench.decoders.fuse_contour import FuseContour
from segbench.decoders.object_maps import cleaned, most_frequent
from segbench.decoders.seeded import Seeded
from segbench.errors import UserError
from tests.data.targets.samples import sample_of


def discs(size: tuple[int, ...] = (40, 60), radius: int = 9) -> np.ndarray:
    """Two balls that touch, and one alone."""
    places = np.indices(size)
    instances = np.zeros(size, np.int32)
    middle = [length // 2 for length in size[1:-1]]
    for number, (first, last) in enumerate([(12, 12), (12, 12 + 2 * radius - 2), (29, 45)], start=1):
        centre = [first, *middle, last]
        squares = sum((line - place) ** 2 for line, place in zip(places, centre, strict=True))
        instances[(np.asarray(squares) <= radius**2) & (instances == 0)] = number
    return instances


def sure(classes: np.ndarray, count: int = 2) -> Tensor:
    """Logits (K, *S) of a network that is sure of these classes."""
    return 8 * torch.nn.functional.one_hot(torch.from_numpy(classes.astype(np.int64)), count).movedim(-1, 0).float()


def objects_match(found: np.ndarray, expected: np.ndarray, least: float) -> bool:
    """Whether each object has one of its own that covers it, by its IoU."""
    numbers = np.unique(expected[expected > 0])
    best = []
    for number in numbers:
        other = np.bincount(found[expected == number]).argmax()
        both = ((found == other) & (expected == number)).sum()
        best.append(both / ((found == other) | (expected == number)).sum())
    return min(best) >= least and found.max() == len(numbers)


def mask_outputs(instances: np.ndarray) -> dict[str, Tensor]:
    return {"mask": sure(instances > 0)}


@pytest.mark.parametrize("size", [(40, 60), (40, 20, 60)])
@pytest.mark.parametrize("channels", [1, 2])
def test_contours_cut_objects_apart_and_they_grow_back(size: tuple[int, ...], channels: int) -> None:
    instances = discs(size)
    contour = Contour(radius=1)(sample_of(instances))
    output = sure(contour) if channels == 2 else torch.from_numpy(8.0 * (2 * contour[None] - 1)).float()
    decoder = FuseContour(grow=3)
    outputs = mask_outputs(instances) | {"contour": output}
    label = decoder.label(outputs, torch.zeros(1, *size))
    np.testing.assert_array_equal(label, instances > 0)
    found = decoder.instances(outputs, label)
    assert found.dtype == np.int32
    assert objects_match(found, instances, 0.95)
    assert not found[label == 0].any()


def test_a_line_of_contour_between_two_blobs_makes_two_objects() -> None:
    """DCAN's rule: three pixels of contour between two blobs of the mask; what is contour is in no object."""
    mask, contour = np.ones((2, 20, 30), np.int64)
    contour[:] = 0
    contour[:, 14:17] = 1
    outputs = {"mask": sure(mask), "contour": sure(contour)}
    found = FuseContour(grow=0).instances(outputs, mask.astype(np.uint8))
    assert found.max() == 2
    np.testing.assert_array_equal(found == 0, contour == 1)


def test_crumbs_go_before_objects_grow() -> None:
    mask = np.ones((20, 30), np.int64)
    contour = np.zeros((20, 30), np.int64)
    contour[:, 10:20] = 1
    contour[5, 15] = 0
    outputs = {"mask": sure(mask), "contour": sure(contour)}
    assert FuseContour().instances(outputs, mask.astype(np.uint8)).max() == 3
    found = FuseContour(minimum_size=5, grow=5).instances(outputs, mask.astype(np.uint8))
    assert found.max() == 2
    assert (found > 0).all()


@pytest.mark.parametrize("size", [(40, 60), (40, 20, 60)])
@pytest.mark.parametrize(
    ("head", "target", "h", "foreground"),
    [
        ("inner_distance", InnerDistance(), 0.1, 0.2),
        ("outer_distance", OuterDistance(), 0.15, 0.05),
        ("distance_transform", DistanceTransform(), 0.1, 0.0),
    ],
)
@pytest.mark.parametrize("masked", [True, False])
def test_peaks_of_distances(  # one object for each peak
    size: tuple[int, ...], head: str, target: InnerDistance, h: float, foreground: float, masked: bool
) -> None:
    instances = discs(size)
    outputs = {head: torch.from_numpy(target(sample_of(instances)))} | (mask_outputs(instances) if masked else {})
    decoder = Seeded(head, h=h, foreground=foreground)
    label = decoder.label(outputs, torch.zeros(1, *size))
    np.testing.assert_array_equal(label, instances > 0)
    assert objects_match(decoder.instances(outputs, label), instances, 0.9)


def test_a_peak_below_h_is_none() -> None:
    """Three peaks in a row: the middle one rises by 0.2 above the saddle to its higher neighbours."""
    profile = np.interp(np.arange(41), [0, 10, 15, 20, 25, 30, 40], [0, 1, 0.3, 0.5, 0.3, 0.9, 0])
    outputs = {"mask": sure(np.ones((3, 41), np.int64)), "d": torch.from_numpy(profile).float().expand(1, 3, 41)}
    label = np.ones((3, 41), np.uint8)
    counts = [Seeded("d", h=h).instances(outputs, label).max() for h in (0.1, 0.19, 0.21, 0.59, 0.61)]
    assert counts == [3, 3, 2, 2, 1]


def test_seeds_that_are_certain_grow_over_what_is_not() -> None:
    """Two certain cores in one mask, a core that is too small, and an uncertain region."""
    probability = np.full((12, 60), 0.02)
    probability[2:10, 2:40] = 0.6
    probability[3:9, 4:16] = probability[3:9, 24:38] = 0.95
    probability[2:10, 45:49] = 0.6
    probability[4:6, 46] = 0.95
    logit = torch.from_numpy(np.log(probability / (1 - probability))).float()
    outputs = {"mask": torch.stack([torch.zeros_like(logit), logit])}
    grow = Seeded("mask", "softmax", seeds_above=0.8, seed_size=10, majority=3)
    label = grow.label(outputs, torch.zeros(1, 12, 60))
    found = grow.instances(outputs, label)
    assert found.max() == 2
    assert (found[2:10, 2:40] > 0).mean() > 0.98
    assert not found[:, 45:49].any()
    kept = Seeded("mask", "softmax", seeds_above=0.8, seed_size=10, keep_unseeded=True).instances(outputs, label)
    assert kept.max() == 3
    assert Seeded("mask", "softmax", seeds_above=0.8).instances(outputs, label).max() == 3


@pytest.mark.parametrize("shape", [(9, 11), (5, 6, 7)])
@pytest.mark.parametrize("size", [3, 5])
def test_majority_by_brute_force(shape: tuple[int, ...], size: int) -> None:
    objects = np.random.default_rng(0).integers(0, 4, shape).astype(np.int32)
    padded = np.pad(objects, size // 2, mode="edge")
    found = most_frequent(objects, size)
    for place in np.ndindex(shape):
        window = padded[tuple(slice(k, k + size) for k in place)]
        assert found[place] == np.bincount(window.ravel()).argmax()


def test_holes_specks_and_numbers() -> None:
    objects = np.zeros((12, 20), np.int32)
    objects[1:8, 1:8] = 9
    objects[3:5, 3:5] = 0
    objects[2, 2] = 4
    objects[9:11, 12:19] = 70_000
    found = cleaned(objects, np.ones(objects.shape, bool), fill_holes=True, minimum_size=2)
    assert found.dtype == np.int32
    expected = np.where(objects == 70_000, 2, 0)
    expected[1:8, 1:8] = 1
    expected[2, 2] = 0
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(binary_fill_holes(found == 2), found == 2)


def test_heights() -> None:
    output = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(heights(output, "none"), output[0])
    np.testing.assert_allclose(heights(output, "sigmoid"), 1 / (1 + np.exp(-output[0].numpy())), rtol=1e-5)
    shares = np.exp(output.numpy()) / np.exp(output.numpy()).sum(axis=0)
    np.testing.assert_allclose(heights(output, "softmax", 2), shares[0] + shares[1], rtol=1e-5)
    with pytest.raises(UserError, match=r"decoder\.activation=tanh: must be none, sigmoid or softmax"):
        heights(output, "tanh")  # type: ignore[arg-type]


def test_objects_of_some_classes_alone() -> None:
    label = np.zeros((10, 30), np.uint8)
    label[2:8, 2:8], label[2:8, 12:18], label[2:8, 22:28] = 1, 2, 3
    outputs = {"mask": sure(label, 4), "d": torch.from_numpy((label > 0).astype(np.float32))[None]}
    found = Seeded("d", seeds_above=0.5, objects=(1, 3)).instances(outputs, label)
    expected, _ = connected_components((label == 1) | (label == 3))
    np.testing.assert_array_equal(found, expected)


def test_nothing_found() -> None:
    outputs: Mapping[str, Tensor] = {"mask": sure(np.zeros((8, 8))), "contour": sure(np.zeros((8, 8)))}
    outputs = {**outputs, "d": torch.zeros(1, 8, 8)}
    for decoder in (FuseContour(), Seeded("d", h=0.1), Seeded("d", seeds_above=0.5, keep_unseeded=True)):
        assert not decoder.instances(outputs, decoder.label(outputs, torch.zeros(1, 8, 8))).any()


def test_values_that_do_not_fit() -> None:
    with pytest.raises(UserError, match=r"decoder\.h and decoder\.seeds_above are both null"):
        Seeded("d")
    with pytest.raises(UserError, match=r"decoder\.h=0: must be above 0"):
        Seeded("d", h=0)
    with pytest.raises(UserError, match=r"decoder\.threshold=1: must be between 0 and 1"):
        FuseContour(threshold=1)
    with pytest.raises(UserError, match=r"decoder\.majority=4: must be 0 or an odd number"):
        FuseContour(majority=4)
    with pytest.raises(UserError, match=r"decoder: needs the head contour, and the task has a, b; choose"):
        head_of({"a": torch.zeros(1), "b": torch.zeros(1)}, "contour")
    with pytest.raises(UserError, match=r"task: d without mask tells one class of objects .* has 4 classes; choose"):
        Seeded("d", h=1.0, foreground=0.5, classes=4, heads={"d": 1})
