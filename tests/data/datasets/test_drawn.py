"""What all data sets that are drawn by code promise."""

import numpy as np
import pytest

from segbench.data.case import check_case
from segbench.data.datasets.synthetic_cells import SyntheticCells
from segbench.data.datasets.synthetic_tissue import SyntheticTissue
from segbench.data.datasets.synthetic_vessels import SyntheticVessels
from segbench.errors import UserError

KINDS = [
    pytest.param(SyntheticCells, {}, 1, id="cells"),
    pytest.param(SyntheticTissue, {"scale": 0.25}, 3, id="tissue"),
    pytest.param(SyntheticVessels, {}, 3, id="vessels"),
]


@pytest.mark.parametrize(("kind", "more", "channels"), KINDS)
def test_cases_keep_the_contract(kind, more, channels):
    dataset = kind(cases=3, size=[192, 224], seed=0, **more)
    for record in dataset.records():
        case = dataset.load(record)
        check_case(case, record, dataset)
        assert case.id == record.id
        assert case.image.dtype == np.uint8
        assert case.image.shape == (channels, 192, 224)
        assert case.label.dtype == np.uint8


@pytest.mark.parametrize(("kind", "more", "channels"), KINDS)
def test_a_case_depends_on_seed_and_number_alone(kind, more, channels):
    dataset, larger, other = (
        kind(cases=cases, size=[192, 224], seed=seed, **more) for cases, seed in ((5, 0), (9, 0), (5, 1))
    )
    case, again, changed = (one.load(one.records()[4]) for one in (dataset, larger, other))
    np.testing.assert_array_equal(case.image, again.image)
    np.testing.assert_array_equal(case.label, again.label)
    np.testing.assert_array_equal(case.instances, again.instances)
    assert (case.image != changed.image).mean() > 0.5
    assert (case.label != changed.label).any()


@pytest.mark.parametrize(("kind", "more", "channels"), KINDS)
@pytest.mark.parametrize(
    ("cases", "size", "seed"), [(0, [64, 64], 0), (1, [64, 64], -1), (1, [64], 0), (1, [31, 64], 0)]
)
def test_impossible_numbers_are_named(kind, more, channels, cases, size, seed):
    with pytest.raises(
        UserError, match=rf"cases={cases}, seed={seed}, size=\[{size[0]}.*: expected are at least 1 case"
    ):
        kind(cases=cases, size=size, seed=seed, **more)
