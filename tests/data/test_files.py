"""Files of a data set: found by name, and paired."""

from pathlib import Path

import pytest

from segbench.data.files import check_pairs, files_by_key
from segbench.errors import UserError


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_by_key(tmp_path: Path) -> None:
    make(
        tmp_path,
        "b_mask.PNG",
        "a_mask.tif",
        "c.png",
        "note_mask.txt",
        ".d_mask.png",
        ".e/f_mask.png",
        "p/1_mask.png",
    )
    assert files_by_key(tmp_path, [".png", ".tif"], "_mask") == {
        "a": tmp_path / "a_mask.tif",
        "b": tmp_path / "b_mask.PNG",
        "p/1": tmp_path / "p/1_mask.png",
    }
    assert files_by_key(tmp_path / "nothing", [".png"]) == {}


def test_two_files_of_one_name(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a.tif")
    with pytest.raises(UserError, match="have the same name but for the extension"):
        files_by_key(tmp_path, [".png", ".tif"])


def test_pairs() -> None:
    one, two = {"a": Path("images/a.png")}, {"a": Path("images/a.png"), "b": Path("images/b.png")}
    check_pairs(one, one, "mask")
    with pytest.raises(UserError, match=r"images/b\.png has no mask: a file named b\.\* is expected"):
        check_pairs(two, one, "mask")
    with pytest.raises(UserError, match=r"images/b\.png has no image"):
        check_pairs(one, two, "mask")
