"""Cell Tracking Challenge: gold and silver truth, groups of frames, and bad copies."""

from pathlib import Path

import numpy as np
import pytest
from skimage import io as skimage_io

from segbench.errors import UserError
from tests.data.datasets.reading import Read, cases, parts


def test_cell_tracking_gold(read: Read, tmp_path: Path) -> None:
    dataset = read("cell_tracking")
    assert dataset.name == "PhC-C2DH-U373"
    assert parts(dataset) == {"train": 5, "test": 5}
    every = cases(dataset)
    assert list(every)[:5] == ["01_000", "01_003", "01_004", "01_007", "01_009"]  # the frames that have a truth
    groups = [record.group for record, _ in every.values()][:5]
    assert groups == ["01_000_to_003"] * 2 + ["01_004_to_007"] * 2 + ["01_009_to_009"]
    _, case = every["02_007"]
    root = tmp_path / "cell_tracking" / "PhC-C2DH-U373"
    truth = skimage_io.imread(root / "02_GT" / "SEG" / "man_seg007.tif")
    np.testing.assert_array_equal(case.image[0], skimage_io.imread(root / "02" / "t007.tif"))
    np.testing.assert_array_equal(case.instances, truth)
    assert 300 in truth


def test_cell_tracking_silver_and_whole_sequences(read: Read) -> None:
    dataset = read("cell_tracking", "data.dataset.truth=silver", "data.dataset.block_size=null")
    assert parts(dataset) == {"train": 10, "test": 10}
    assert {record.group for record in dataset.records()} == {"01_000_to_009", "02_000_to_009"}
    one = read("cell_tracking", "data.dataset.sequences=['01']", "data.dataset.test=[]")
    assert parts(one) == {None: 5}


def test_cell_tracking_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("cell_tracking")
    root = tmp_path / "cell_tracking" / "PhC-C2DH-U373"
    (root / "02" / "t004.tif").unlink()
    with pytest.raises(UserError, match=r"02_GT/SEG/man_seg004\.tif has no image: expected is .*02/t\*4\.tif"):
        dataset.records()
    for path in (root / "01_GT" / "SEG").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"there is no .*01_GT/SEG/man_segNNN\.tif"):
        dataset.records()
    with pytest.raises(UserError, match=r"there is no .*DIC-C2DH-HeLa/01"):
        read("cell_tracking", "data.dataset.folder=DIC-C2DH-HeLa", made=False).records()
    for setting, message in (
        ("truth=bronze", r"truth is 'bronze': expected is one of gold, silver"),
        ("test=['03']", r"test is \['03'\]: it must name some, not all"),
        ("test=['01','02']", "not all"),
        ("block_size=0", "at least 1, or null"),
    ):
        with pytest.raises(UserError, match=message):
            read("cell_tracking", f"data.dataset.{setting}", made=False)
