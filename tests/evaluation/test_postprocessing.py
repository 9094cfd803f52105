"""Post-processing: against scikit-image, by brute force, and as a file."""

import json

import numpy as np
import pytest
from skimage.measure import label as regions_of

from segbench.errors import UserError
from segbench.evaluation.postprocessing import decide, keep_largest, read_postprocessing

NAMES = ("background", "organ", "core")


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("classes", [(1,), (2,), (1, 2)])
def test_the_largest_region_is_that_of_scikit_image(dims, classes):
    rng = np.random.default_rng(dims)
    prediction = rng.choice(3, (9,) * dims, p=[0.8, 0.1, 0.1]).astype(np.uint8)
    found = keep_largest(prediction, classes, 0)
    regions = regions_of(np.isin(prediction, classes))
    largest = np.argmax(np.bincount(regions.ravel())[1:]) + 1
    expected = np.where(np.isin(prediction, classes) & (regions != largest), 0, prediction)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8


def case(*boxes, size=24):
    """A label map with boxes (class, first, last + 1) along a line."""
    found = np.zeros((size, 4), np.uint8)
    for value, first, last in boxes:
        found[first:last] = value
    return found


def decided(*cases):
    return decide(lambda: iter(cases), NAMES, 0, ("a", "b"))


def test_a_false_island_is_removed():
    found = decided((case((1, 2, 8), (1, 12, 13)), case((1, 2, 8))))
    joint, organ, core = found.steps
    assert joint.kept
    assert joint.before["organ"] == pytest.approx(2 * 6 / 13)
    assert joint.after["organ"] == 1
    assert joint.before["core"] is None
    assert not organ.kept  # nothing is left to win
    assert not core.kept
    np.testing.assert_array_equal(found(case((1, 5, 6), (1, 10, 14))), case((1, 10, 14)))


def test_two_true_regions_stay():
    found = decided((case((1, 2, 8), (1, 12, 14)), case((1, 2, 8), (1, 12, 14))))
    assert not any(step.kept for step in found.steps)
    both = case((1, 2, 4), (1, 10, 14))
    np.testing.assert_array_equal(found(both), both)


def test_classes_are_decided_apart_where_they_are_not_together():
    # The core has false islands; the organ has two true parts, of which together one would be lost.
    truth = case((1, 0, 4), (1, 8, 12), (2, 16, 20))
    found = decided((case((1, 0, 4), (1, 8, 12), (2, 16, 20), (2, 22, 23)), truth))
    joint, organ, core = found.steps
    assert (joint.kept, organ.kept, core.kept) == (False, False, True)


def test_the_mean_over_cases_decides():
    better = (case((1, 0, 4), (1, 8, 9)), case((1, 0, 4)))
    worse = (case((1, 0, 4), (1, 8, 12), (1, 14, 17)), case((1, 0, 4), (1, 8, 12), (1, 14, 17)))
    assert decided(better).steps[1].kept or decided(better).steps[0].kept
    assert not any(step.kept for step in decided(better, worse).steps)


def test_pixels_without_a_label_do_not_count():
    truth = case((1, 2, 8), (255, 12, 13))
    found = decided((case((1, 2, 8), (1, 12, 13)), truth))
    assert not any(step.kept for step in found.steps)


def test_a_file(tmp_path):
    found = decided((case((1, 2, 8), (1, 12, 13)), case((1, 2, 8))))
    path = tmp_path / "post.json"
    path.write_text(found.as_text())
    assert read_postprocessing(path, NAMES) == found
    assert json.loads(path.read_text())["steps"][0]["kept"]
    with pytest.raises(UserError, match="was decided for the classes background, organ, core; the run has a, b"):
        read_postprocessing(path, ["a", "b"])
    path.write_text("{}")
    with pytest.raises(UserError, match=r"post\.json: is no file of segbench postprocess"):
        read_postprocessing(path, NAMES)
    with pytest.raises(UserError, match="No such file"):
        read_postprocessing(tmp_path / "none.json", NAMES)
