"""Folders and files of other names: the keys for them, and messages whose suggestions work as they are pasted."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.config.instantiation import build
from segbench.data.case import Dataset
from segbench.data.folders.pairing import naming_keys
from segbench.errors import UserError
from tests.made_runs import configure


def folder(root: Path, *overrides: str) -> Dataset:
    config = configure("data=folder", f"data.root={root}", *overrides, command="prepare")
    dataset: Dataset = build(config.data.dataset, "data.dataset")
    return dataset


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(root / name)


def pairs(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {record.id: tuple(path.stem for path in record.files) for record in dataset.records()}


def suggested(message: str) -> list[str]:
    return shlex.split(message.partition("; what is there fits ")[2])


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("images/img_12.png", "images/img_3.png", "masks/mask_012.png", "masks/mask_003.png"), {"12", "3"}),
        (("images/a_image.png", "images/b_image.png", "masks/a_mask.png", "masks/b_mask.png"), {"a", "b"}),
        (("images/a.png", "images/b.png", "masks/a_seg.png", "masks/b_seg.png"), {"a", "b"}),
        (("images/img_a.png", "images/img_b.png", "masks/gt_a.png", "masks/gt_b.png"), {"a", "b"}),
        (("images/s1/a-raw.png", "images/s2/a-raw.png", "masks/s1/a-gt.png", "masks/s2/a-gt.png"), {"s1_a", "s2_a"}),
        (("images/x_7_of_9.png", "images/y_08_of_9.png", "masks/m-07.png", "masks/m-8.png"), {"7", "8"}),
        (("images/t000.png", "images/t001.png", "masks/man_seg000.png", "masks/man_seg001.png"), {"0", "1"}),
    ],
)
def test_a_message_suggests_what_pairs_all(tmp_path: Path, files: tuple[str, ...], expected: set[str]) -> None:
    fill(tmp_path, *files)
    with pytest.raises(UserError, match="has no mask") as caught:
        folder(tmp_path).records()
    keys = suggested(str(caught.value))
    assert keys, caught.value
    found = pairs(folder(tmp_path, *keys))
    assert set(found) == expected


@pytest.mark.parametrize(
    "files",
    [
        ("images/img_1.png", "images/img_2.png", "masks/mask_1.png", "masks/mask_3.png"),
        ("images/img_1.png", "images/img_01.png", "masks/mask_1.png", "masks/mask_2.png"),
        ("images/a.png", "images/b.png", "masks/b.png"),
        ("images/a.png", "images/b.png", "masks/x.png", "masks/y.png"),
    ],
)
def test_nothing_is_suggested_that_would_not_work(tmp_path: Path, files: tuple[str, ...]) -> None:
    fill(tmp_path, *files)
    with pytest.raises(UserError, match=r"has no mask.*: a file named .*\.\* is expected$"):
        folder(tmp_path).records()


def test_numbers_pair_by_their_value_and_groups_see_the_whole_path(tmp_path: Path) -> None:
    fill(tmp_path, "images/p1_img_012.png", "images/p2_img_13.png", "images/notes.png")
    fill(tmp_path, "masks/mask_12.png", "masks/mask_0013.png")
    dataset = folder(
        tmp_path, r"data.dataset.image_pattern='.*img_(\d+)'", r"data.dataset.mask_pattern='mask_(\d+)'",
        "data.dataset.group_pattern='^[^_]+'",
    )  # fmt: skip
    assert pairs(dataset) == {"12": ("p1_img_012", "mask_12"), "13": ("p2_img_13", "mask_0013")}
    assert [record.group for record in dataset.records()] == ["p1", "p2"]


def test_a_folder_for_each_case_and_all_files_in_one_folder(tmp_path: Path) -> None:
    fill(tmp_path / "one", "c1/image.png", "c1/mask.png", "c2/image.png", "c2/mask.png")
    keys = ["data.dataset.images=.", "data.dataset.masks=."]
    found = pairs(
        folder(
            tmp_path / "one", *keys, "data.dataset.image_pattern='(.*)/image'", "data.dataset.mask_pattern='(.*)/mask'"
        )
    )
    assert found == {"c1": ("image", "mask"), "c2": ("image", "mask")}
    fill(tmp_path / "two", "a.png", "b.png", "a_mask.png", "b_mask.png")
    keys += ["data.dataset.image_pattern='(.*)(?<!_mask)'", "data.dataset.mask_pattern='(.*)_mask'"]
    assert pairs(folder(tmp_path / "two", *keys)) == {"a": ("a", "a_mask"), "b": ("b", "b_mask")}


def test_folders_of_parts_with_other_names_are_suggested(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "Train_Folder/img/a.png",
        "Train_Folder/label/a.png",
        "testing_set/img/b.png",
        "testing_set/label/b.png",
    )
    with pytest.raises(UserError, match="has no images") as caught:
        folder(tmp_path).records()
    dataset = folder(tmp_path, *suggested(str(caught.value)))
    assert {record.id: record.part for record in dataset.records()} == {
        "Train_Folder_a": "train",
        "testing_set_b": "test",
    }
    fill(tmp_path / "x", "images/a.png", "labels/a.png")
    with pytest.raises(UserError, match=r"what is there fits data\.dataset\.masks=labels$"):
        folder(tmp_path / "x").records()
    fill(tmp_path / "y", "testing/images/a.png", "testing/masks/a.png")
    assert [record.part for record in folder(tmp_path / "y").records()] == ["test"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.dataset.parts={learn: a}",
            r"data\.dataset\.parts has learn: 'a'; expected is a folder for each of train",
        ),
        ("data.dataset.parts={train: nowhere}", "there is no .*nowhere/images"),
        ("data.dataset.image_pattern='img_.*'", r"data\.dataset\.image_pattern 'img_\.\*' has no group"),
        ("data.dataset.image_pattern='('", r"data\.dataset\.image_pattern '\(' is no regular expression"),
        ("data.dataset.mask_pattern='(x)'", r"masks: the pattern '\(x\)' matches no path in it; .*such as 'a'"),
        (r"data.dataset.mask_pattern='[a-z]*(\d*)'", r"finds the same name, '', in .*a\.png and .*b\.png"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, override: str, message: str) -> None:
    fill(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/b.png")
    with pytest.raises(UserError, match=message):
        folder(tmp_path, override).records()
    with pytest.raises(UserError, match=r"image_pattern and data\.dataset\.image_suffix are both given"):
        folder(tmp_path, "data.dataset.image_suffix=_x", "data.dataset.image_pattern='(.*)'")


def test_many_names_take_no_time() -> None:
    images = [f"a_long_prefix_of_all_{number:05d}_image_of_it" for number in range(5000)]
    masks = [f"m{number}" for number in range(5000)]
    (image_key, mask_key) = naming_keys(images, masks)
    assert r"a_long_prefix_of_all_(\d+)_image_of_it" in image_key
    assert r"m(\d+)" in mask_key
