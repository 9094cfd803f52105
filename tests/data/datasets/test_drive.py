"""DRIVE: the first observer's vessels inside the field of view, and bad copies."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import io as skimage_io

from segbench.data.case import IGNORE
from segbench.errors import UserError
from tests import data_layouts
from tests.data.datasets.reading import Read, cases, parts


def test_drive(read: Read, tmp_path: Path) -> None:
    dataset = read("drive")
    assert parts(dataset) == {"train": 3, "test": 3}
    every = cases(dataset)
    assert list(every) == ["training_21", "training_22", "training_23", "test_01", "test_02", "test_03"]
    record, case = every["test_02"]
    rows, columns = np.indices((40, 38))
    inside = (rows - 20) ** 2 + (columns - 19) ** 2 < 17**2
    expected = np.where(columns % 9 == 2, 1, 0)  # the first observer's; the second drew the opposite
    np.testing.assert_array_equal(case.label, np.where(inside, expected, IGNORE))
    np.testing.assert_array_equal(case.image, np.moveaxis(skimage_io.imread(record.files[0]), -1, 0))
    # The made GIF files have a palette the wrong way round, so that their indices would say the opposite.
    assert np.asarray(Image.open(record.files[2]))[0, 0] == 1


def test_drive_without_the_truth_of_the_test_part(read: Read, tmp_path: Path) -> None:
    dataset = read("drive")
    for path in (tmp_path / "drive" / "test" / "1st_manual").iterdir():
        path.unlink()
    (tmp_path / "drive" / "test" / "1st_manual").rmdir()
    with pytest.raises(UserError, match=r"test has no 1st_manual.* data\.dataset\.parts=\[training\]"):
        dataset.records()
    assert parts(read("drive", "data.dataset.parts=[training]", made=False)) == {None: 3}


def test_drive_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("drive")
    part = tmp_path / "drive" / "training"
    data_layouts.write_gif(part / "mask" / "22_training_mask.gif", np.zeros((40, 37), bool))
    with pytest.raises(UserError, match=r"22_training_mask\.gif is 40 x 37, but .*22_manual1\.gif is 40 x 38"):
        cases(dataset)
    Image.fromarray(np.full((40, 38), 77, np.uint8)).save(part / "1st_manual" / "21_manual1.gif")
    with pytest.raises(UserError, match=r"21_manual1\.gif has the label value #4d4d4d"):
        cases(dataset)
    (part / "mask" / "21_training_mask.gif").unlink()
    with pytest.raises(UserError, match=r"21_training\.tif has no field of view: a file named 21_training_mask\.gif"):
        dataset.records()
    (part / "1st_manual" / "23_manual1.gif").unlink()
    with pytest.raises(UserError, match=r"23_training\.tif has no mask of vessels: a file named 23_manual1\.gif"):
        dataset.records()
    with pytest.raises(UserError, match=r"data\.dataset\.parts is \['train'\]: expected are some of training, test"):
        read("drive", "data.dataset.parts=[train]", made=False)
