"""Contours in XML, and what they fill, against what is drawn by hand and matplotlib's point-in-polygon."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from segbench.data.labels.contours import Contour, paint, read_contours
from segbench.errors import UserError
from tests.data_layouts import box, imagescope


def contour(vertices: object, hole: bool = False) -> Contour:
    return Contour(np.array(vertices, float), "", hole)


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    imagescope(path, [("Benign", [(1, 2), (3.5, 4), (5, 6)]), ("", box(0, 0, 2, 2))], layer="tissue", holes=[1])
    first, second = read_contours(path)
    np.testing.assert_array_equal(first.vertices, [[1, 2], [3.5, 4], [5, 6]])
    assert (first.name, first.hole) == ("Benign", False)
    assert (second.name, second.hole) == ("tissue", True)  # the layer's name, where a region has none


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<Annotations><Annotation></Annotation></Annotations>", "has no contour: expected are elements Region"),
        ("<Annotations><Annotation>", "is no XML, or damaged"),
        ("<A><Region Id='7'><Vertex X='1'/></Region></A>", "without the numbers X and Y in region 7"),
        ("<A><Region Id='8'><Vertex X='1' Y='north'/></Region></A>", "without the numbers X and Y in region 8"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"bad\.xml.* {message}"):
        read_contours(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.xml cannot be read: No such file"):
        read_contours(tmp_path / "none.xml")


def test_a_box_fills_its_pixels() -> None:
    expected = np.zeros((12, 10), np.int32)
    expected[3:9, 2:5] = 7
    np.testing.assert_array_equal(paint([contour(box(2, 3, 5, 9))], [7], (12, 10)), expected)


@pytest.mark.parametrize("seed", range(5))
def test_any_polygon_holds_the_pixels_whose_centre_it_encloses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-5, 45, (7, 2))  # crosses itself, and leaves the image
    rows, columns = np.indices((40, 36))
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    around = np.mod(_winding(vertices, centres), 2) == 1
    np.testing.assert_array_equal(paint([contour(vertices)], [1], (40, 36)).ravel(), around)
    simple = vertices[:3]
    inside = Outline(np.concatenate([simple, simple[:1]]), closed=True).contains_points(centres)
    np.testing.assert_array_equal(paint([contour(simple)], [1], (40, 36)).ravel(), inside)


def _winding(vertices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How many edges a ray to the right crosses."""
    crossings = np.zeros(len(points), int)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        across = (y0 > points[:, 1]) != (y1 > points[:, 1])
        crossings += across & (points[:, 0] < x0 + (points[:, 1] - y0) / (y1 - y0) * (x1 - x0))
    return crossings


def test_later_over_earlier_and_holes() -> None:
    painted = paint(
        [contour(box(0, 0, 8, 8)), contour(box(2, 2, 6, 6), hole=True), contour(box(3, 3, 4, 4))], [1, 5, 2], (8, 8)
    )
    expected = np.ones((8, 8), np.int32)
    expected[2:6, 2:6] = 0
    expected[3, 3] = 2
    np.testing.assert_array_equal(painted, expected)


@pytest.mark.parametrize("scale", [(4, 4), (2, 5)])
def test_a_reduced_image_keeps_the_place(scale: tuple[int, int]) -> None:
    boxes = [contour(box(20, 40, 60, 80)), contour(box(0, 0, 20, 20))]
    full = paint(boxes, [1, 2], (100, 100))
    reduced = paint(boxes, [1, 2], (100 // scale[0], 100 // scale[1]), scale)
    np.testing.assert_array_equal(np.repeat(np.repeat(reduced, scale[0], 0), scale[1], 1), full)


@pytest.mark.parametrize("vertices", [[], [(1, 1)], [(1, 1), (5, 5)], [(100, 100), (120, 100), (100, 120)]])
def test_a_contour_around_nothing(vertices: object) -> None:
    assert paint([Contour(np.array(vertices, float).reshape(-1, 2), "", False)], [1], (8, 8)).sum() <= 2
