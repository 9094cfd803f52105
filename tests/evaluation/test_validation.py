"""The score of one validation."""

import math

import numpy as np
import pytest

from segbench.evaluation.scoring import CaseScorer
from segbench.evaluation.validation import mean_scores
from segbench.metrics.overlap import dice
from segbench.metrics.surface import hd95
from segbench.runs.criterion import Criterion

HD95 = Criterion(("hd95",), "smaller")


def rows(metric, **values):
    return [{"metric": metric, "class": name, "value": value} for name, of in values.items() for value in of]


def test_means_over_cases_then_classes_then_metrics():
    scored = rows("dice", a=[0.2, 0.4], b=[0.9]) + rows("nsd", a=[0.5], b=[1.0]) + rows("hd95", a=[7.0])
    means = mean_scores(scored, Criterion(("dice", "nsd")))
    assert means == pytest.approx(
        {"dice/a": 0.3, "dice/b": 0.9, "nsd/a": 0.5, "nsd/b": 1.0, "dice": 0.6, "nsd": 0.75, "score": 0.675}
    )


def test_what_is_absent_everywhere_does_not_count():
    scored = rows("dice", a=[0.2, math.nan], b=[math.nan]) + rows("nsd", a=[math.nan], b=[math.nan])
    means = mean_scores(scored, Criterion(("dice", "nsd")))
    assert (means["dice"], means["score"]) == (0.2, 0.2)
    assert math.isnan(means["nsd"])
    assert "dice/b" not in means
    assert math.isnan(mean_scores([], Criterion())["dice"])


def test_a_network_that_predicts_nothing_does_not_win_by_a_distance():
    reference = np.zeros((30, 40), np.uint8)
    reference[10:20, 10:20] = 1
    poor = np.roll(reference, 8, axis=1)
    scorer = CaseScorer(("background", "cell"), 0, {"dice": dice, "hd95": hd95})
    case = {"label": reference, "spacing": (1.0, 1.0), "case_id": "a", "group": "a", "instances": None}
    nothing, something = (
        mean_scores(scorer(label, None, case), HD95)["hd95"] for label in (np.zeros_like(reference), poor)
    )
    assert nothing == math.hypot(30, 40)
    assert HD95.better(something, nothing)
