"""Pixel values without a class: all of a data set at once, with lines that can be pasted."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from segbench.config.instantiation import build
from segbench.data.labels.grey_values import main_values, ranges_around
from segbench.data.store import CaseStore
from segbench.errors import UserError
from tests.made_runs import configure


def store(root: Path, *overrides: str) -> CaseStore:
    config = configure("data=folder", f"data.root={root}", *overrides, command="prepare")
    return CaseStore(build(config.data.dataset, "data.dataset"), root.parent / "cache")


def write(root: Path, name: str, mask: np.ndarray) -> None:
    for folder, pixels in (("images", np.zeros((4, 5), np.uint8)), ("masks", mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / f"{name}.png")


def mask(*values: int) -> np.ndarray:
    pixels = np.zeros((4, 5), np.uint8)
    pixels.flat[: len(values)] = values
    return pixels


def test_all_masks_at_once_and_lines_to_paste(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write(root, "a", mask(1, 7, 7))
    write(root, "b", mask(1, 7, 9))
    write(root, "c", mask(1, 1))
    write(root, "d", mask(9))
    with pytest.raises(UserError) as caught:
        store(root)
    message = str(caught.value)
    assert message.startswith(
        "3 masks have label values that no class has: 7 in 3 pixels of 2 (a.png, b.png), 9 in 2 pixels of 2 (b.png, "
        "d.png); known are 0, 1; give it to a class in data.dataset.values"
    )
    lines = [shlex.split(quoted)[0] for quoted in re.findall(r'"[^"]+"', message)]
    assert lines == ["data.dataset.values=[0,[1,7,9]]", "data.dataset.ignore=[7,9]"]
    given, ignored = (store(root, line) for line in lines)
    assert [given.meta(case).pixels[1] for case in given.ids] == [3, 3, 2, 1]
    assert [ignored.meta(case).ignored for case in ignored.ids] == [2, 2, 0, 1]


def test_as_many_values_as_classes(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write(root, "a", mask(100, 200))
    write(root, "b", mask(100))
    classes = "data.dataset.classes=[x,y,z]"
    with pytest.raises(UserError, match=r'"data\.dataset\.values=\[0,100,200\]" if in this order$'):
        store(root, classes)
    assert store(root, classes, "data.dataset.values=[0,100,200]").meta("a").pixels == (18, 1, 1)


def test_colours_and_other_faults_beside_them(tmp_path: Path) -> None:
    root = tmp_path / "data"
    colours = np.zeros((4, 5, 3), np.uint8)
    colours[0, 0] = (255, 0, 0)
    colours[0, 1] = (0, 0, 255)
    write(root, "a", colours)
    write(root, "b", np.zeros((9, 9, 3), np.uint8))
    wanted = "data.dataset.values=['#000000','#ff0000']"
    with pytest.raises(UserError) as caught:
        store(root, wanted)
    message = str(caught.value)
    assert "9 x 9" in message
    line = shlex.split(re.findall(r'"[^"]+"', message)[-1])[0]
    assert line == "data.dataset.ignore=['#0000ff']"
    write(root, "b", np.zeros((4, 5, 3), np.uint8))
    assert store(root, wanted, line).meta("a").ignored == 1


def test_pictures_are_not_listed_value_by_value(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in "ab":
        write(root, name, np.arange(20, dtype=np.uint8).reshape(4, 5))
    with pytest.raises(UserError, match=r"and 10 more values; .*is this a picture, or are its edges smoothed\?$"):
        store(root)


def smoothed(shape: tuple[int, int] = (60, 60), top: int = 255) -> np.ndarray:
    """A disc as a drawing program draws it: at its edge, each pixel is as bright as the share of it that is inside."""
    picture = Image.new("L", (8 * shape[1], 8 * shape[0]))
    ImageDraw.Draw(picture).ellipse((80, 60, 400, 390), fill=top)
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BOX))


def test_smoothed_edges_are_named_and_can_be_cut(tmp_path: Path) -> None:
    root = tmp_path / "data"
    drawn = smoothed()
    for name in "ab":
        for folder, pixels in (("images", np.zeros((60, 60), np.uint8)), ("masks", drawn)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{name}.png")
    with pytest.raises(UserError, match=r"grey values, as drawing programs leave them along smoothed edges") as caught:
        store(root)
    (line,) = re.findall(r'"([^"]+)"', str(caught.value))
    assert line == "data.dataset.values=['0-127','128-255']"
    assert store(root, line).meta("a").pixels == ((drawn < 128).sum(), (drawn >= 128).sum())


def test_smoothed_edges_of_several_classes_and_what_is_a_picture() -> None:
    drawn = np.hstack([smoothed(top=100), smoothed(top=200)])
    pixels = dict(zip(*(array.tolist() for array in np.unique(drawn, return_counts=True)), strict=True))
    assert main_values(pixels, 3) == [0, 100, 200]
    assert ranges_around([0, 100, 200]) == [range(51), range(51, 151), range(151, 256)]
    assert ranges_around([0, 1000]) == [range(501), range(501, 65536)]
    assert main_values(dict.fromkeys(range(256), 5), 2) is None
    assert main_values({0: 900, 255: 100} | dict.fromkeys(range(1, 9), 1), 2) is None  # so few may be classes
