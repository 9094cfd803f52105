"""Pixel values without a class: all of a data set at once, with lines that can be pasted."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.config.instantiation import build
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
