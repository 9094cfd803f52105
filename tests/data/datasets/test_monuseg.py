"""MoNuSeg: nuclei of contours that overlap or have holes, groups by patient, and bad copies."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segbench.errors import UserError
from tests.data.datasets.reading import Read, cases, parts
from tests.data_layouts import box, imagescope


def test_monuseg(read: Read) -> None:
    dataset = read("monuseg")
    assert parts(dataset) == {"train": 12, "test": 2}
    every = cases(dataset)
    groups = Counter(record.group for record, _ in every.values())
    assert set(groups.values()) == {2}  # two images of each patient
    assert "TCGA-00-2018" in groups
    for _, case in every.values():
        assert case.image[:, case.label == 1].mean() > case.image[:, case.label == 0].mean() + 80
    assert parts(read("monuseg", "data.dataset.test=null", made=False)) == {None: 12}


def test_monuseg_overlaps_go_to_the_first_nucleus(read: Read) -> None:
    dataset = read("monuseg")
    record = dataset.records()[0]
    imagescope(record.files[1], [("", box(2, 2, 8, 8)), ("", box(5, 5, 12, 12)), ("", box(3.6, 3.6, 3.9, 3.9))])
    instances = dataset.load(record).instances
    assert instances is not None
    expected = np.zeros((40, 40), int)
    expected[5:12, 5:12] = 2
    expected[2:8, 2:8] = 1
    np.testing.assert_array_equal(instances, expected)  # the third encloses no pixel's centre


def test_monuseg_negative_regions_are_holes(read: Read) -> None:
    """Before or after their nucleus, and in all nuclei that they lie in."""
    dataset = read("monuseg")
    record = dataset.records()[0]
    expected = np.zeros((40, 40), int)
    expected[2:12, 8:18] = 3
    expected[2:12, 2:12] = 1
    expected[5:9, 6:15] = 0
    regions = [("", box(2, 2, 12, 12)), ("", box(6, 5, 15, 9)), ("", box(8, 2, 18, 12))]
    imagescope(record.files[1], regions, holes=[1])
    np.testing.assert_array_equal(dataset.load(record).instances, expected)
    np.testing.assert_array_equal(dataset.load(record).label, expected > 0)


def test_monuseg_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("monuseg")
    folder = tmp_path / "monuseg" / "MoNuSeg 2018 Training Data"
    path = sorted((folder / "Annotations").iterdir())[0]
    path.write_text("<Annotations/>")
    with pytest.raises(UserError, match=r"\.xml has no contour"):
        dataset.load(dataset.records()[0])
    path.unlink()
    with pytest.raises(UserError, match=r"DX1\.tif has no contours: a file named TCGA-.*-DX1\.xml is expected"):
        dataset.records()
    copy = sorted((folder / "Tissue Images").iterdir())[0]
    (folder / copy.name).write_bytes(copy.read_bytes())
    with pytest.raises(UserError, match="have the same name: keep one of them"):
        dataset.records()
    with pytest.raises(UserError, match=r"there is no .*monuseg/none;"):
        read("monuseg", "data.dataset.train=none", made=False).records()
