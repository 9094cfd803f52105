"""GlaS: the challenge's parts, groups by patient, and bad copies."""

from pathlib import Path

import numpy as np
import pytest
from skimage import io as skimage_io

from segbench.errors import UserError
from tests.data.datasets.reading import Read, parts


@pytest.mark.parametrize(("test", "count"), [("A", 3), ("B", 2), ("AB", 5)])
def test_glas_parts(read: Read, test: str, count: int) -> None:
    dataset = read("glas", f"data.dataset.test={test}")
    assert parts(dataset) == {"train": 11, "test": count}
    assert dataset.published == {"train": 85, "test": {"A": 60, "B": 20, "AB": 80}[test]}


def test_glas(read: Read, tmp_path: Path) -> None:
    dataset = read("glas")
    records = dataset.records()
    assert [record.id for record in records[:11]] == [f"train_{number}" for number in range(1, 12)]
    assert [record.group for record in records[:4]] == ["train_patient_0"] * 2 + ["train_patient_1"] * 2
    assert records[11].group == "test_patient_0"  # of the same patient; the challenge's parts stay
    case = dataset.load(records[9])
    image, glands = (skimage_io.imread(tmp_path / "glas" / f"train_10{end}.bmp") for end in ("", "_anno"))
    np.testing.assert_array_equal(case.image, np.moveaxis(image, -1, 0))
    np.testing.assert_array_equal(case.instances, glands)
    np.testing.assert_array_equal(case.label, glands > 0)


def test_glas_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("glas")
    root = tmp_path / "glas"
    (root / "testB_2_anno.bmp").unlink()
    with pytest.raises(UserError, match=r"testB_2\.bmp has no map of glands: a file named testB_2_anno\.bmp"):
        dataset.records()
    assert parts(read("glas", "data.dataset.test=A", made=False)) == {"train": 11, "test": 3}
    for path in root.glob("testB*"):
        path.unlink()
    with pytest.raises(UserError, match=r"there is no .*testB_1\.bmp"):
        dataset.records()
    grades = (root / "Grade.csv").read_text()
    (root / "Grade.csv").write_text(grades.replace("train_7,", "train_77,"))
    with pytest.raises(UserError, match=r"Grade\.csv has no line for train_7:"):
        dataset.records()
    (root / "Grade.csv").write_text("image,grade\n")
    with pytest.raises(UserError, match=r"Grade\.csv has the columns image, grade: expected are name and patient ID"):
        dataset.records()
    (root / "Grade.csv").unlink()
    with pytest.raises(UserError, match=r"there is no .*Grade\.csv"):
        dataset.records()
    with pytest.raises(UserError, match=r"data\.dataset\.test is 'C': expected is one of A, B, AB"):
        read("glas", "data.dataset.test=C", made=False)
