"""Which pixel value means which class, and what is said about others."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segbench.data.case import IGNORE
from segbench.data.labels.pixel_values import LabelMapping
from segbench.errors import UserError

PATH = Path("mask.png")


@given(
    values=st.lists(st.integers(0, 65535), min_size=3, max_size=12, unique=True),
    seed=st.integers(0, 1000),
)
def test_mapping_is_the_plain_loop(values: list[int], seed: int) -> None:
    *classes, ignored = values
    mapping = LabelMapping.parse(classes, [ignored], len(classes), "values")
    mask = np.random.default_rng(seed).choice(values, (4, 5))
    expected = [[IGNORE if value == ignored else classes.index(value) for value in row] for row in mask.tolist()]
    label = mapping.apply(mask, PATH)
    assert label.dtype == np.uint8
    assert label.tolist() == expected


def test_several_values_for_a_class() -> None:
    mapping = LabelMapping.parse([0, [1, 7]], [], 2, "values")
    assert mapping.apply(np.array([[0, 1, 7]]), PATH).tolist() == [[0, 1, 1]]


def test_colours(tmp_path: Path) -> None:
    mapping = LabelMapping.parse(["#000000", "#ff0000"], ["#ffffff"], 2, "values")
    pixels = np.array([[[0, 0, 0], [255, 0, 0], [255, 255, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert mapping.read(tmp_path / "mask.png").tolist() == [[0, 1, IGNORE]]
    pixels[0, 1] = (254, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    with pytest.raises(UserError, match=r"mask\.png has the label value #fe0000.*known are #000000, #ff0000"):
        mapping.read(tmp_path / "mask.png")


@pytest.mark.parametrize("value", [2, -1, 10**6])
def test_value_that_is_not_in_the_mapping(value: int) -> None:
    mapping = LabelMapping.parse([0, 1], [], 2, "data.dataset.values")
    with pytest.raises(UserError, match=rf"mask\.png has the label value {value}, .* class in data\.dataset\.values"):
        mapping.apply(np.array([[0, value]]), PATH)


@pytest.mark.parametrize(
    ("values", "ignore", "message"),
    [
        ([0, 1, 2], [], "3 entries; 2 classes need one each"),
        ([0, [1, 0]], [], "has 0 twice"),
        ([0, 1], [1], "has 1 twice"),
        ([0, "#ff0000"], [], "mixes numbers and colours"),
        (["#000000", "red"], [], "'red': expected is a number from 0 on, a range such as '128-255', or a colour"),
        (["#000000", "#00gg00"], [], "'#00gg00': expected"),
        ([0, -1], [], "-1: expected is a number from 0 on"),
    ],
)
def test_impossible_mapping(values: list[int | str], ignore: list[int | str], message: str) -> None:
    with pytest.raises(UserError, match=f"data.dataset.values .*{message}"):
        LabelMapping.parse(values, ignore, 2, "data.dataset.values")


def test_ranges_of_values() -> None:
    mapping = LabelMapping.parse([["0-2", 7], "128-255"], ["3-5"], 2, "values")
    assert mapping.apply(np.array([[0, 2, 7, 128, 255, 4]]), PATH).tolist() == [[0, 0, 0, 1, 1, IGNORE]]
    assert mapping.listed(mapping.classes) == "[['0-2',7],'128-255']"
    for wrong in ("5-5", "7-3", "1-", "0-99999999"):
        with pytest.raises(UserError, match=rf"values has '{wrong}': expected is|mixes numbers and colours"):
            LabelMapping.parse([0, wrong], [], 2, "values")
    with pytest.raises(UserError, match="values has 130 twice"):
        LabelMapping.parse([130, "128-255"], [], 2, "values")
