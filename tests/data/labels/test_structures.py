"""Measurements of drawn structures are what was drawn."""

import numpy as np
import pytest

from segbench.data.labels.structures import measure_structures, structures_of
from segbench.data.metric_advice import advise, misleading
from segbench.training import assembly
from tests.made_runs import configure

SHAPE = (120, 160)


def found(mask, objects=None):
    return structures_of([mask], [np.ones(mask.shape, dtype=bool)], [objects])


def disc(radius, centre=(60, 80), shape=SHAPE):
    grid = np.stack(np.mgrid[tuple(map(slice, shape))], axis=-1)
    return ((grid - np.array(centre)) ** 2).sum(axis=-1) < radius**2


def line(width, length=140):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[50 : 50 + width, 10 : 10 + length] = True
    return mask


@pytest.mark.parametrize("radius", [8, 20, 40])
def test_a_disc_is_round_at_any_size(radius):
    facts = found(disc(radius))
    assert facts.number == 1
    assert facts.size == pytest.approx(np.pi * radius**2, rel=0.05)
    assert facts.width == pytest.approx(1.11 * radius, rel=0.1)
    assert facts.elongation == pytest.approx(1, rel=0.15)


def test_a_ball_is_round():
    facts = found(disc(12, (20, 20, 20), (40, 40, 40)))
    assert facts.size == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.05)
    assert facts.elongation == pytest.approx(1, rel=0.25)
    assert facts.dimensions == 3


@pytest.mark.parametrize("width", [2, 4, 6])
def test_a_line_has_its_width_and_length(width):
    facts = found(line(width))
    assert facts.width == pytest.approx(width, rel=0.05)
    assert facts.elongation == pytest.approx(140 / width / 2.5, rel=0.1)


def test_objects_are_counted_as_they_are_numbered():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[10:20, 10:40] = True
    halves = np.where(mask, np.where(np.arange(160) < 25, 1, 2), 0)
    assert found(mask).number == 1
    assert (found(mask, halves).number, found(mask, halves).size) == (2, 150)


def test_a_class_that_no_case_has_is_left_out():
    nothing = np.zeros(SHAPE, dtype=bool)
    assert found(nothing) is None
    known = [~nothing, ~nothing]
    assert structures_of([nothing, disc(9)], known, [None, None]).present == 0.5


def recorded(mask, **facts):
    from dataclasses import asdict

    return {"classes": {"it": asdict(found(mask))}, "objects": False, "touching": 0.0, **facts}


def recommended(record):
    return {metric for advice in advise(record) for metric in advice.use}


def test_metrics_follow_the_structures():
    assert {"cldice", "nsd"} <= recommended(recorded(line(3)))
    assert "nsd" in recommended(recorded(disc(4)))
    assert not recommended(recorded(disc(40)))
    assert {"object_f1_50", "aji"} <= recommended(recorded(disc(40), objects=True, touching=0.5))
    assert advise({}) == []


def test_a_ranking_is_warned_of_unless_it_has_the_right_metric_too():
    vessels = recorded(line(3))
    (warning,) = misleading(["dice"], vessels)
    assert "it: tubular and thin (width 3.0 pixels)" in warning
    assert "metrics=thin_structures" in warning
    assert misleading(["dice", "cldice"], vessels) == []
    assert misleading(["nsd"], vessels) == []
    assert misleading(["dice"], recorded(disc(40))) == []


def test_vessels_drawn_by_code_are_thin(tmp_path):
    size = ("data.dataset.cases=3", "data.dataset.size=[128,128]", f"data.cache={tmp_path}")
    dataset, store = assembly.build_dataset(configure("data=synthetic_vessels", *size, command="prepare"))
    record = measure_structures(dataset, store)
    assert list(record["classes"]) == ["vessel"]
    assert "cldice" in recommended(record)
