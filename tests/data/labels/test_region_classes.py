"""Regions as unions of classes, and the label map that they can make together."""

import numpy as np
import pytest

from segbench.data.labels.region_classes import default_order, region_classes, region_masks
from segbench.data.sample import Sample
from segbench.data.targets import Regions
from segbench.errors import UserError

CLASSES = ("background", "oedema", "necrosis", "enhancing")


def test_names_and_indices() -> None:
    assert region_classes({"whole": [1, 2, 3], "core": ["enhancing", "necrosis"], "rim": "enhancing"}, CLASSES) == {
        "whole": [1, 2, 3],
        "core": [2, 3],
        "rim": [3],
    }
    assert region_classes(None, CLASSES) == {}


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ({"core": ["tumour"]}, r"data.regions.core: there is no class 'tumour'; classes are 0 background, 1 oedema"),
        ({"core": [4]}, r"data.regions.core: there is no class 4"),
        ({"core": []}, r"data.regions.core: has no classes; give their names, such as \[enhancing\]"),
    ],
)
def test_regions_that_cannot_be(regions: dict[str, list[str | int]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        region_classes(regions, CLASSES)


def test_masks_by_brute_force_and_ignored_in_the_target() -> None:
    label = np.random.default_rng(0).choice(np.array([0, 1, 2, 3, 255], np.uint8), (7, 8))
    regions = {"whole": [1, 2, 3], "core": [2, 3]}
    expected = np.array([[[int(value) in members for value in row] for row in label] for members in regions.values()])
    np.testing.assert_array_equal(region_masks(label, regions), expected)
    target = Regions(regions)(Sample(label[None], label))
    assert target.dtype == np.uint8
    np.testing.assert_array_equal(target, np.where(label == 255, 255, expected))
    with pytest.raises(UserError, match=r"task=regions: the data set has no regions; name them in data.regions"):
        Regions({})


def test_nested_regions_give_their_label_map_back() -> None:
    assert default_order({"whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}) == [1, 2, 3]
    assert default_order({"cell": [1, 2, 3], "compact": [1, 3], "hollow": [3]}) == [2, 1, 3]
    assert default_order({"whole": [1, 2, 3], "core": [2, 3]}) == [1, 2]  # of two classes the lowest
