"""EPFL mitochondria: slices or blocks of two stacks, and bad copies of them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from skimage import io as skimage_io

from segbench.data.store import CaseStore
from segbench.errors import UserError
from tests import data_layouts
from tests.data.datasets.reading import Read, parts

ENDS = ("", "_groundtruth")


def test_epfl_slices(read: Read, tmp_path: Path) -> None:
    dataset = read("epfl_mitochondria", "data.dataset.block_size=5")
    records = dataset.records()
    assert parts(dataset) == {"train": 12, "test": 12}
    groups = [record.group for record in records[:12]]
    blocks = [("training_000_to_004", 5), ("training_005_to_009", 5), ("training_010_to_011", 2)]
    assert groups == [name for name, count in blocks for _ in range(count)]
    for stack, record in (("training", records[7]), ("testing", records[12 + 7])):
        case = dataset.load(record)
        image, truth = (skimage_io.imread(tmp_path / "epfl_mitochondria" / f"{stack}{end}.tif")[7] for end in ENDS)
        np.testing.assert_array_equal(case.image[0], image)
        np.testing.assert_array_equal(case.label, truth == 255)
        assert case.spacing == (1.0, 1.0)


def test_epfl_volumes_and_spacing(read: Read, tmp_path: Path) -> None:
    settings = ("data.dataset.spatial_dims=3", "data.dataset.block_size=5", "data.dataset.spacing=5e-6")
    dataset = read("epfl_mitochondria", *settings)
    records = dataset.records()
    assert [record.id for record in records[:3]] == [
        "training_000_to_004",
        "training_005_to_009",
        "training_010_to_011",
    ]
    case = dataset.load(records[2])
    image, truth = (skimage_io.imread(tmp_path / "epfl_mitochondria" / f"training{end}.tif")[10:] for end in ENDS)
    np.testing.assert_array_equal(case.image, image[None])
    np.testing.assert_array_equal(case.label, truth == 255)
    assert case.spacing == (5e-6, 5e-6, 5e-6)
    store = CaseStore(dataset, tmp_path / "cache")
    assert store.meta("training_010_to_011").objects == ndimage.label(truth)[1]


def test_epfl_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("epfl_mitochondria")
    root = tmp_path / "epfl_mitochondria"
    data_layouts.write_stack(root / "testing.tif", np.zeros((11, 40, 48), np.uint8))
    with pytest.raises(UserError, match=r"testing\.tif has 11 slices, but .*testing_groundtruth\.tif has 12"):
        dataset.records()
    data_layouts.write_stack(root / "testing.tif", np.zeros((12, 40, 47), np.uint8))
    with pytest.raises(UserError, match=r"testing\.tif has slices of 40 x 47, but .*groundtruth\.tif of 40 x 48"):
        dataset.load(dataset.records()[-1])
    data_layouts.write_stack(root / "testing_groundtruth.tif", np.full((12, 40, 48), 9, np.uint8))
    data_layouts.write_stack(root / "testing.tif", np.zeros((12, 40, 48), np.uint8))
    with pytest.raises(UserError, match=r"groundtruth\.tif has the label value 9.* known are 0, 255"):
        dataset.load(dataset.records()[-1])
    (root / "testing_groundtruth.tif").unlink()
    with pytest.raises(UserError, match=r"there is no .*testing_groundtruth\.tif"):
        dataset.records()
    for setting, message in (("block_size=0", "at least 1"), ("spatial_dims=4", "2 .slices. or 3 .blocks.")):
        with pytest.raises(UserError, match=message):
            read("epfl_mitochondria", f"data.dataset.{setting}", made=False)


def test_a_stack_of_coloured_pages_is_refused(read: Read, tmp_path: Path) -> None:
    dataset = read("epfl_mitochondria")
    pages = np.zeros((12, 40, 48, 3), np.uint8)
    tifffile.imwrite(tmp_path / "epfl_mitochondria" / "training.tif", pages, photometric="rgb")
    with pytest.raises(UserError, match=r"training\.tif has pages of shape .*: grey ones are expected"):
        dataset.load(dataset.records()[0])
