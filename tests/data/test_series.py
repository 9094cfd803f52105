"""Sections of a stack: blocks of neighbours, and the advice to make them."""

import numpy as np
import pytest
from PIL import Image

from segbench.data.configured import dataset_of, open_dataset
from segbench.data.series import blocks, hint
from segbench.data.splits import make_split
from segbench.errors import UserError
from tests.made_runs import configure


def test_blocks_follow_the_numbers_and_not_the_spelling():
    names = ["s_10", "s_9", "s_1", "s_2", "other_7"]
    assert blocks(names, 2) == {
        "s_1": "s_1_to_2", "s_2": "s_1_to_2", "s_9": "s_9_to_10", "s_10": "s_9_to_10", "other_7": "other_7",
    }  # fmt: skip
    assert len(set(blocks([f"a/slice{k:03}_x" for k in range(25)], 10).values())) == 3
    assert blocks(["a/1", "b/1"], 5) == {"a/1": "a/1", "b/1": "b/1"}


def test_what_cannot_be_blocks():
    with pytest.raises(UserError, match="'first' has no number"):
        blocks(["first"], 2)
    for size in (0, -1, 1.5, True):
        with pytest.raises(UserError, match="must be a whole number of at least 1"):
            blocks(["a1"], size)


def write(root, images):
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(root / "images" / f"z{number}.png")
        Image.fromarray(((image > 120) * 255).astype(np.uint8)).save(root / "masks" / f"z{number}.png")


def sections(count=30):
    """Two waves that drift from section to section, under noise."""
    rng, (rows, columns) = np.random.default_rng(0), np.mgrid[:64, :64]
    for z in range(count):
        wave = np.sin(rows / 7 + z / 4) + np.cos(columns / 9 - z / 5)
        yield np.clip(120 + 40 * wave + rng.normal(0, 25, wave.shape), 0, 255).astype(np.uint8)


def independent(count=30):
    """The same waves, each image with a place of its own."""
    rng, (rows, columns) = np.random.default_rng(1), np.mgrid[:64, :64]
    for _ in range(count):
        wave = np.sin(rows / 7 + rng.uniform(0, 7)) + np.cos(columns / 9 - rng.uniform(0, 7))
        yield np.clip(120 + 40 * wave + rng.normal(0, 25, wave.shape), 0, 255).astype(np.uint8)


def opened(tmp_path, *more):
    return open_dataset(configure("data=folder", f"data.root={tmp_path}", f"data.cache={tmp_path}/cache", *more).data)


def test_sections_are_noticed_until_they_are_in_blocks(tmp_path):
    write(tmp_path, sections())
    assert "z0 to z29 look like sections of one series" in hint(*opened(tmp_path))
    dataset, store = opened(tmp_path, "data.dataset.block_size=3")
    assert hint(dataset, store) is None
    present = {case: store.meta(case).present for case in store.ids}
    split = make_split(store.records, present, folds=5, fold=0, seed=0)
    for part in (split.train, split.validation, split.test):
        numbers = {int(case[1:]) for case in part}
        assert all({number // 3 * 3 + k for k in range(3)} <= numbers for number in numbers)


def test_numbered_images_of_different_things_are_no_series(tmp_path):
    write(tmp_path, independent())
    assert hint(*opened(tmp_path)) is None


def test_equal_images_and_few_images_are_no_series(tmp_path):
    write(tmp_path / "same", [next(sections())] * 12)
    write(tmp_path / "few", sections(6))
    assert hint(*opened(tmp_path / "same")) is None
    assert hint(*opened(tmp_path / "few")) is None


def test_groups_by_a_pattern_and_by_blocks_exclude_each_other(tmp_path):
    settings = ("data=folder", f"data.root={tmp_path}", "data.dataset.block_size=3", "data.dataset.group_pattern=z")
    with pytest.raises(UserError, match="block_size and group_pattern"):
        dataset_of(configure(*settings).data)
