"""The real data sets: what their makers and their SOURCE.md say about them, and bad copies of them."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from skimage import io as skimage_io

from segbench.data.case import Dataset, check_case
from segbench.data.datasets.dsb2018 import Dsb2018
from segbench.data.datasets.isbi2012 import Isbi2012
from segbench.data.datasets.wbc import Wbc
from segbench.data.store import CaseStore
from segbench.errors import UserError

RealData = Callable[[str], Path]


def shares(dataset: Dataset, cache: Path) -> np.ndarray:
    store = CaseStore(dataset, cache)
    pixels = np.sum([store.meta(case_id).pixels for case_id in store.ids], axis=0)
    return pixels / pixels.sum()


# ISBI 2012


def test_isbi2012(real_data: RealData, tmp_path: Path) -> None:
    root = real_data("isbi2012")
    dataset = Isbi2012(str(root), test_sections=6, block_size=4)
    records = dataset.records()
    assert Counter(record.part for record in records) == {"train": 24, "test": 6}
    assert [record.part for record in records[23:25]] == ["train", "test"]
    np.testing.assert_allclose(shares(dataset, tmp_path), [0.780, 0.220], atol=5e-4)
    stack, labels = (skimage_io.imread(root / f"train-{name}.tif") for name in ("volume", "labels"))
    case = dataset.load(records[17])
    np.testing.assert_array_equal(case.image[0], stack[17])
    np.testing.assert_array_equal(case.label == 1, labels[17] == 0)
    # Membranes are dark: were the classes swapped, this would say so.
    assert case.image[0][case.label == 1].mean() < case.image[0][case.label == 0].mean()


def write_stack(root: Path, sections: int = 10, label: int = 255) -> None:
    root.mkdir(exist_ok=True)
    tifffile.imwrite(root / "train-volume.tif", np.zeros((sections, 16, 16), np.uint8), photometric="minisblack")
    values = np.full((10, 16, 16), 255, np.uint8)
    values[3, 2, 2] = label
    tifffile.imwrite(root / "train-labels.tif", values, photometric="minisblack")


@pytest.mark.parametrize(("test_sections", "block_size"), [(3, 4), (1, 2), (0, 4), (9, 1)])
def test_isbi2012_blocks_are_consecutive_and_of_one_part(tmp_path: Path, test_sections: int, block_size: int) -> None:
    write_stack(tmp_path)
    records = Isbi2012(str(tmp_path), test_sections, block_size).records()
    groups = [record.group for record in records]
    assert groups == sorted(groups, key=groups.index)  # no group comes back after another one
    assert max(Counter(groups).values()) <= block_size
    assert len({(record.group, record.part) for record in records}) == len(set(groups))
    assert [record.part for record in records].count("test") == test_sections
    if not test_sections:
        assert {record.part for record in records} == {None}


def test_isbi2012_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*train-volume\.tif; data.root must name a folder with"):
        Isbi2012(str(tmp_path), 6, 4).records()
    write_stack(tmp_path, sections=9)
    with pytest.raises(UserError, match=r"volume\.tif has 9 sections, but .*labels\.tif has 10"):
        Isbi2012(str(tmp_path), 6, 4).records()
    write_stack(tmp_path, label=7)
    dataset = Isbi2012(str(tmp_path), 6, 4)
    with pytest.raises(UserError, match=r"labels\.tif has the label value 7"):
        dataset.load(dataset.records()[3])
    with pytest.raises(UserError, match="test_sections is 10: 0 to 9 of the 10 sections"):
        Isbi2012(str(tmp_path), 10, 4).records()
    with pytest.raises(UserError, match="block_size is 0"):
        Isbi2012(str(tmp_path), 6, 0)


# White blood cells


def test_wbc(real_data: RealData, tmp_path: Path) -> None:
    dataset = Wbc(str(real_data("wbc")), "Dataset 1")
    records = dataset.records()
    assert len(records) == 300
    groups = Counter(record.group for record in records)
    assert [record.id for record in records if groups[record.group] > 1] == ["112", "139"]
    np.testing.assert_allclose(shares(dataset, tmp_path), [0.688, 0.189, 0.123], atol=5e-4)
    case = dataset.load(records[41])
    image, mask = (skimage_io.imread(file) for file in records[41].files)
    np.testing.assert_array_equal(case.image, np.moveaxis(image, -1, 0))
    np.testing.assert_array_equal(np.array([0, 128, 255])[case.label], mask)


def write_cell(root: Path, name: str, seed: int, value: int = 128) -> None:
    (root / "Dataset 1").mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 9, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(root / "Dataset 1" / f"{name}.bmp")
    Image.fromarray(np.full((8, 9), value, np.uint8)).save(root / "Dataset 1" / f"{name}.png")


def test_wbc_groups_equal_images_by_content(tmp_path: Path) -> None:
    for name, seed in (("001", 1), ("002", 2), ("003", 1)):
        write_cell(tmp_path, name, seed)
    assert [record.group for record in Wbc(str(tmp_path), "Dataset 1").records()] == ["001", "002", "001"]


def test_wbc_dataset_2_has_grey_values_between(tmp_path: Path) -> None:
    write_cell(tmp_path, "001", 0)
    (tmp_path / "Dataset 1").rename(tmp_path / "Dataset 2")
    mask = np.repeat([0, 1, 127, 129, 254, 255, 128, 0], 9).reshape(8, 9).astype(np.uint8)
    mask[0, 0], mask[0, 1] = 62, 194
    Image.fromarray(mask).save(tmp_path / "Dataset 2" / "001.png")
    dataset = Wbc(str(tmp_path), "Dataset 2")
    assert dataset.name == "wbc2"
    label = dataset.load(dataset.records()[0]).label
    assert label is not None
    assert label[:, 2].tolist() == [0, 0, 1, 1, 2, 2, 1, 0]
    assert label[0, :2].tolist() == [0, 2]
    with pytest.raises(
        UserError, match=r"data\.dataset\.folder is 'Dataset 3': expected is one of Dataset 1, Dataset 2"
    ):
        Wbc(str(tmp_path), "Dataset 3")


def test_wbc_bad_input(tmp_path: Path) -> None:
    dataset = Wbc(str(tmp_path), "Dataset 1")
    with pytest.raises(UserError, match=r"there is no .*Dataset 1.*; data.root must name a folder with"):
        dataset.records()
    write_cell(tmp_path, "001", 0, value=60)
    with pytest.raises(UserError, match=r"001\.png: the values of .* of the pixels are near none of 0, 128 and 255"):
        dataset.load(dataset.records()[0])
    (tmp_path / "Dataset 1" / "001.png").unlink()
    with pytest.raises(UserError, match=r"001\.bmp has no mask"):
        dataset.records()


# Data Science Bowl 2018


def test_dsb2018(real_data: RealData) -> None:
    dataset = Dsb2018(str(real_data("dsb2018")), "stage1_train")
    records = dataset.records()
    assert len(records) == 166
    assert sum(len(record.files) - 1 for record in records) == 7581
    for record in records[::40]:
        case = dataset.load(record)
        check_case(case, record, dataset)
        masks = np.stack([skimage_io.imread(file) > 0 for file in record.files[1:]])
        np.testing.assert_array_equal(case.label, masks.any(axis=0))
        np.testing.assert_array_equal(case.image, np.moveaxis(skimage_io.imread(record.files[0])[..., :3], -1, 0))
        assert case.instances is not None
        assert case.instances.max() == len(masks)


@pytest.mark.parametrize("prefix", ["1609b1b8", "175dbb36", "547ef286"])
def test_dsb2018_overlaps_go_to_the_smaller_nucleus(real_data: RealData, prefix: str) -> None:
    dataset = Dsb2018(str(real_data("dsb2018")), "stage1_train")
    record = next(record for record in dataset.records() if record.id.startswith(prefix))
    instances = dataset.load(record).instances
    assert instances is not None
    masks = np.stack([skimage_io.imread(file) > 0 for file in record.files[1:]])
    areas = masks.sum(axis=(1, 2))
    twice = np.argwhere(masks.sum(axis=0) > 1)
    assert 1 <= len(twice) <= 2
    for y, x in twice:
        claimants = np.flatnonzero(masks[:, y, x])
        assert areas[instances[y, x] - 1] == areas[claimants].min()


def write_nuclei(root: Path, *masks: np.ndarray) -> Path:
    folder = root / "stage1_train" / "abc"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((16, 16, 4), np.uint8)).save(folder / "images" / "abc.png")
    for index, mask in enumerate(masks):
        Image.fromarray(255 * mask.astype(np.uint8)).save(folder / "masks" / f"{index}.png")
    return folder


def test_dsb2018_nucleus_in_two_pieces_is_one_instance(tmp_path: Path) -> None:
    mask = np.zeros((16, 16), bool)
    mask[1:3, 1:3] = mask[8:11, 8:11] = True
    write_nuclei(tmp_path, mask)
    dataset = Dsb2018(str(tmp_path), "stage1_train")
    instances = dataset.load(dataset.records()[0]).instances
    np.testing.assert_array_equal(instances, mask)
    assert ndimage.label(instances)[1] == 2


def test_dsb2018_bad_input(tmp_path: Path) -> None:
    dataset = Dsb2018(str(tmp_path), "stage1_train")
    with pytest.raises(UserError, match=r"there is no .*stage1_train; data.root must name a folder with"):
        dataset.records()
    folder = write_nuclei(tmp_path, np.ones((16, 15)))
    with pytest.raises(UserError, match=r"masks/0\.png is 16 x 15, but its image is 16 x 16"):
        dataset.load(dataset.records()[0])
    (folder / "masks" / "0.png").unlink()
    with pytest.raises(UserError, match=r"abc\.png has no mask"):
        dataset.records()
    write_nuclei(tmp_path, np.ones((16, 16)))
    (folder / "images" / "abc.png").unlink()
    with pytest.raises(UserError, match=r"abc has no image: expected is .*abc\.png"):
        dataset.records()
