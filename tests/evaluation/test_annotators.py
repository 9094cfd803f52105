"""Predictions scored against further annotators, and these against the reference."""

import numpy as np
import pytest

from segbench.data.arrays import ArraySpec
from segbench.errors import UserError
from segbench.evaluation.annotators import check_references, score_annotators
from segbench.evaluation.scoring import CaseScorer
from segbench.metrics.overlap import dice


class Meta:
    group = "patient"


class Case:
    def __init__(self, number):
        self.id, self.spacing, self.meta, self.instances = f"case{number}", (1.0, 1.0), Meta(), None
        random = np.random.default_rng(number)
        self.label, drawn = (random.integers(0, 2, (9, 9), dtype=np.uint8) for _ in range(2))
        self.arrays = {"second": drawn, "weights": np.ones((9, 9))}


class Store:
    arrays = {"second": ArraySpec(classes=2), "weights": ArraySpec()}  # noqa: RUF012
    cases = {f"case{k}": Case(k) for k in range(3)}  # noqa: RUF012

    def __getitem__(self, name):
        return self.cases[name]


def overlap(a, b):
    return 2 * np.count_nonzero((a == 1) & (b == 1)) / (np.count_nonzero(a == 1) + np.count_nonzero(b == 1))


def test_each_direction_has_its_table():
    scorer = CaseScorer(("background", "cell"), 0, {"dice": dice}, columns={"dataset": "d", "split": "test"})
    predicted = {name: np.random.default_rng(9).integers(0, 2, (9, 9), dtype=np.uint8) for name in Store.cases}
    tables = score_annotators(["second"], Store(), list(Store.cases), scorer, lambda case: (predicted[case], None), [1])
    assert list(tables) == ["references/second.csv", "annotators/second.csv"]
    for name, case in Store.cases.items():
        against, human = ([row for row in table if row["case"] == name] for table in tables.values())
        assert [row["value"] for row in against] == [pytest.approx(overlap(predicted[name], case.arrays["second"]))]
        assert [row["value"] for row in human] == [pytest.approx(overlap(case.arrays["second"], case.label))]
        assert human[0]["group"] == "patient"


def test_what_is_no_label_map_is_refused():
    check_references(["second"], Store())
    for name in ("third", "weights"):
        with pytest.raises(UserError, match=f"no label map '{name}'; there are second"):
            check_references([name], Store())
