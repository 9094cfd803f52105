"""Contours in the XML of Aperio ImageScope, and what they enclose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from skimage.draw import polygon

from segbench.errors import UserError


@dataclass(frozen=True)
class Contour:
    """A closed line around a region.

    Attributes:
        vertices: (N, 2) float64, x (column) and y (row) in pixels of the full image, whose first pixel has
            its centre at (0, 0). The last vertex is joined to the first.
        name: what the annotator called the region, "" where nothing.
        hole: whether it cuts a hole ("negative" region) into the contours before it.
    """

    vertices: np.ndarray
    name: str
    hole: bool


def read_contours(path: Path) -> list[Contour]:
    """Read the contours of an annotation file, in the file's order.

    A region is an element `Region` with `Vertex` elements. Its name is the value of its first `Attribute`,
    else its `Text`, else the `Name` of the annotation layer that it belongs to.

    Raises:
        UserError: where the file cannot be read, is not XML, has no region, or a vertex has no number.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise UserError(f"{path} is no XML, or damaged: {error}") from error
    layers = list(root.iter("Annotation")) or [root]
    found = [_contour(region, layer, path) for layer in layers for region in layer.iter("Region")]
    if not found:
        raise UserError(f"{path} has no contour: expected are elements Region with Vertex elements (Aperio ImageScope)")
    return found


def _contour(region: ElementTree.Element, layer: ElementTree.Element, path: Path) -> Contour:
    try:
        vertices = [(float(vertex.attrib["X"]), float(vertex.attrib["Y"])) for vertex in region.iter("Vertex")]
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} has a vertex without the numbers X and Y in region {region.get('Id', '?')}") from error
    values = (attribute.get("Value") for attribute in region.iter("Attribute"))
    names = (*values, region.get("Text"), layer.get("Name"))
    name = next((text.strip() for text in names if text and text.strip()), "")
    return Contour(np.array(vertices, np.float64).reshape(-1, 2), name, region.get("NegativeROA") == "1")


def paint(
    contours: Sequence[Contour], values: Sequence[int], size: tuple[int, int], scale: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Fill contours, each with its value, the later over the earlier.

    A pixel belongs to a contour that encloses its centre.

    Args:
        contours: the lines.
        values: one for each contour; a hole is filled with 0 whatever its value.
        size: height and width of the result.
        scale: pixels of the full image, along rows and columns, that one pixel of the result stands for.

    Returns:
        (H, W) int32, 0 where no contour is.
    """
    result = np.zeros(size, np.int32)
    for contour, value in zip(contours, values, strict=True):
        if not len(contour.vertices):
            continue
        # Half a pixel: centres are at whole numbers, and the first pixel's corner keeps its place.
        columns, rows = ((contour.vertices + 0.5) / (scale[1], scale[0]) - 0.5).T
        result[polygon(rows, columns, size)] = 0 if contour.hole else value
    return result
