"""BACH: slides at a fraction of their size, classes of contours by their names, and bad copies."""

from pathlib import Path

import numpy as np
import pytest

from segbench.errors import UserError
from tests.data.datasets.reading import Read, cases
from tests.data_layouts import box, imagescope


@pytest.mark.parametrize("downsample", [4, 8, 10])
def test_bach(read: Read, tmp_path: Path, downsample: int) -> None:
    dataset = read("bach", f"data.dataset.downsample={downsample}")
    every = cases(dataset)
    assert list(every) == ["A01", "A02", "A03", "A04", "A05"]  # the slide without contours is left out
    for number in range(1, 6):
        expected = np.zeros((320, 400), int)
        for value in (1, 2, 3):
            top, left = 40 * number % 200, 120 * value - 80
            expected[top : top + 80, left : left + 80] = value
        _, case = every[f"A{number:02}"]
        np.testing.assert_array_equal(case.label, expected[::downsample, ::downsample])
        means = [case.image[:, case.label == value].mean() for value in range(4)]
        np.testing.assert_allclose(means, [50, 110, 170, 230], atol=3)


def test_bach_later_contours_and_holes(read: Read) -> None:
    dataset = read("bach", "data.dataset.downsample=4")
    record = dataset.records()[0]
    regions = [("benign", box(0, 0, 80, 80)), ("Carcinoma invasive", box(40, 0, 120, 80)), ("", box(0, 40, 120, 60))]
    imagescope(record.files[1], regions, holes=[2])
    label = dataset.load(record).label
    assert label is not None
    expected = np.zeros((80, 100), int)
    expected[:20, :10], expected[:20, 10:30], expected[10:15, :30] = 1, 3, 0
    np.testing.assert_array_equal(label, expected)


def test_bach_bad_input(read: Read, tmp_path: Path) -> None:
    dataset = read("bach")
    record = dataset.records()[0]
    imagescope(record.files[1], [("Artefact", box(0, 0, 80, 80))])
    with pytest.raises(UserError, match=r"A01\.xml has a region called 'Artefact': .*benign, in situ, invasive"):
        dataset.load(record)
    record.files[0].rename(record.files[0].with_suffix(".ndpi"))
    with pytest.raises(UserError, match=r"A01\.xml has no slide: .*\.svs, \.tif, \.tiff; another format must be conv"):
        dataset.records()
    for path in (tmp_path / "bach" / "WSI").glob("*.xml"):
        path.unlink()
    with pytest.raises(UserError, match=r"there is no .*WSI/NAME\.xml"):
        dataset.records()
    with pytest.raises(UserError, match=r"data\.dataset\.downsample is 0: at least 1"):
        read("bach", "data.dataset.downsample=0", made=False)
