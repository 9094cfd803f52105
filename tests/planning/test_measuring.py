"""The fingerprint of decoded cases: names of channels, and what is left when zeros are cut off."""

from types import SimpleNamespace
from typing import Any

import pytest

from segbench.data.case_meta import CaseMeta
from segbench.planning.measuring import measure_fingerprint


def case(shape, nonzero, part=None):
    return CaseMeta("", "", part, (1.0,) * len(shape), (2, *shape), "int16", (), (), 0, None, "", "", nonzero)


def dataset(*names: str) -> Any:
    return SimpleNamespace(name="made", channels=2, classes=("a", "b", "c"), channel_names=names)


CASES = [
    case((10, 10, 10), ((0, 10), (0, 10), (0, 5))),
    case((10, 20, 10), ((2, 7), (0, 20), (0, 10))),
    case((8, 8, 8), ((0, 8), (0, 8), (0, 8)), "test"),
]


@pytest.mark.parametrize(
    ("names", "modality"),
    [(("CT", "CT"), "CT"), (("CT", "PET"), ("CT", "PET")), ((), "image"), (("CT",), ("CT", "image"))],
)
def test_channels_are_called_as_the_data_set_calls_them(names, modality):
    assert measure_fingerprint(dataset(*names), CASES, cropped=True).modality == modality


def test_zeros_are_cut_off_and_test_cases_left_out():
    found = measure_fingerprint(dataset(), CASES, cropped=True)
    assert found.shapes == ((10, 10, 5), (5, 20, 10))
    assert found.relative_size_after_cropping == 0.5
    assert found.cases == 2
    whole = measure_fingerprint(dataset(), CASES, cropped=False)
    assert whole.shapes == ((10, 10, 10), (10, 20, 10))
    assert whole.relative_size_after_cropping == 1


def test_images_are_not_cropped():
    found = measure_fingerprint(dataset(), [case((10, 12), None)], cropped=True)
    assert found.shapes == ((10, 12),)
