"""Sizes of volumes in words."""

from dataclasses import dataclass
from typing import Any

import pytest

from segbench.compare.report.case_sizes import volume_text
from segbench.data.case_meta import CaseMeta, measure_sizes


@dataclass
class FakeRun:
    dataset: str
    record: dict[str, Any]


def run(*cases: tuple[tuple[int, ...], tuple[float, ...]]) -> Any:
    metas = [CaseMeta("", "", None, spacing, (1, *shape), "uint8", (), (), 0, None, "", "") for shape, spacing in cases]
    return FakeRun("mine", {"dataset": {"sizes": measure_sizes(metas)}})


@pytest.mark.parametrize(
    ("cases", "text"),
    [
        ([((24, 64, 64), (3.0, 1.0, 1.0))] * 2, "24 x 64 x 64 voxels (98,304) of 3 x 1 x 1 mm"),
        (
            [((10, 20, 20), (2.5, 0.7, 0.7)), ((20, 20, 20), (2.5, 0.7, 0.7)), ((30, 20, 20), (5.0, 0.7, 0.7))],
            "20 x 20 x 20 (10 x 20 x 20 to 30 x 20 x 20) voxels (8,000) of 2.5 x 0.7 x 0.7 (2.5 x 0.7 x 0.7 to"
            " 5 x 0.7 x 0.7) mm",
        ),
        ([((64, 64), (1.0, 1.0))], ""),
    ],
)
def test_medians_and_ranges(cases, text):
    assert volume_text([run(*cases)], "mine") == text


def test_nothing_where_no_run_recorded_sizes():
    assert volume_text([FakeRun("mine", {"dataset": {}}), run(((1, 2, 3), (1.0, 1.0, 1.0)))], "other") == ""  # type: ignore[list-item]
