"""Files of a data set: found by name, and paired."""

from pathlib import Path

import pytest

from segbench.data.folders.files import check_pairs, few, files_by_key, files_left, stem_of
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


def test_linked_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    make(tmp_path / "real", "a.png", "deep/b.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "p1").symlink_to(tmp_path / "real")
    (tmp_path / "images" / "p2").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "deep" / "up").symlink_to(tmp_path / "real")
    assert list(files_by_key(tmp_path / "images", [".png"])) == ["p1/a", "p1/deep/b", "p2/a", "p2/deep/b"]
    (tmp_path / "images" / "c.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(UserError, match=r"images/c\.png is a link to .*nothing\.png, which is not there"):
        files_by_key(tmp_path / "images", [".png"])


def test_folders_of_operating_systems_hold_no_data(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "@eaDir/a.png", "__MACOSX/a.png", "Thumbs.db", "b.txt", "p/c.xcf", ".d.txt")
    assert list(files_by_key(tmp_path, [".png"])) == ["a"]
    assert files_left(tmp_path, [".png"]) == [tmp_path / "b.txt", tmp_path / "p/c.xcf"]
    assert few([Path(f"p/{name}") for name in "abcde"]) == "a, b, c and 2 more"


def test_the_longest_extension_counts() -> None:
    assert stem_of("a.b.nii.GZ", [".gz", ".nii.gz"]) == "a.b"
    assert stem_of("a.nii", [".gz", ".nii.gz"]) is None
