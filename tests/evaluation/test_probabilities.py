"""Probabilities that are counted while a case is predicted: whole or slab by slab, ignored and cut-off pixels."""

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, roc_auc_score

from segbench.evaluation.probabilities import ProbabilityScores
from segbench.evaluation.segmenting import SURE
from segbench.metrics.probabilities import auroc, brier
from segbench.runs.directory import read_cases
from tests.made_runs import execute

CLASSES = ("background", "a", "b")
METRICS = {"brier": brier, "auroc": auroc}


def drawn(*size: int) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, size).astype(np.uint8)
    logits = rng.normal(0, 1, (3, *size)) + 1.5 * (np.arange(3).reshape(3, *[1] * len(size)) == label)
    label[0, 0] = 255
    return torch.from_numpy(logits).float(), label


def values(scores: ProbabilityScores) -> dict[tuple[str, str], float]:
    return {(score.class_name, score.metric): score.value for score in scores.scores(METRICS)}


def whole(logits: torch.Tensor) -> tuple[slice, ...]:
    return tuple(slice(0, length) for length in logits.shape[1:])


def test_each_class_is_scored_against_all_others():
    logits, label = drawn(20, 30)
    scores = ProbabilityScores(label, CLASSES, {}, 0)
    scores.see(whole(logits), {"mask": logits})
    found, shares, scored = values(scores), logits.softmax(0).numpy(), label != 255
    assert {name for name, _ in found} == {"a", "b"}
    for index, name in ((1, "a"), (2, "b")):
        truth = label[scored] == index
        assert found[name, "brier"] == pytest.approx(brier_score_loss(truth, shares[index][scored]), abs=1e-6)
        assert found[name, "auroc"] == pytest.approx(roc_auc_score(truth, shares[index][scored]), abs=1e-4)
    score = scores.scores(METRICS)[0]
    assert (score.n_ref, score.n_pred) == ((label == 1).sum(), (logits.argmax(0).numpy()[scored] == 1).sum())


def test_slabs_of_a_box_are_the_volume_whose_rest_is_background():
    logits, label = drawn(8, 9, 10)
    filled = torch.zeros_like(logits)
    filled[0] = SURE
    filled[:, 2:7, 1:8, 3:9] = logits[:, 2:7, 1:8, 3:9]
    at_once, parts = ProbabilityScores(label, CLASSES, {}, 0), ProbabilityScores(label, CLASSES, {}, 0)
    at_once.see(whole(filled), {"mask": filled})
    for start, stop in ((2, 4), (4, 5), (5, 7)):
        place = (slice(start, stop), slice(1, 8), slice(3, 9))
        parts.see(place, {"mask": logits[:, *place]})
    assert values(parts) == pytest.approx(values(at_once))


def test_regions_have_a_probability_each():
    logits, label = drawn(20, 30)
    regions = {"whole": (1, 2), "core": (2,)}
    scores = ProbabilityScores(label, CLASSES, regions, 0)
    scores.see(whole(logits), {"regions": logits[1:]})
    found, scored = values(scores), label != 255
    shares = logits[1:].sigmoid().numpy()[:, scored]
    for index, (name, members) in enumerate(regions.items()):
        expected = brier_score_loss(np.isin(label[scored], members), shares[index])
        assert found[name, "brier"] == pytest.approx(expected, abs=1e-6)


def test_a_run_scores_its_probabilities(tmp_path):
    run = execute(tmp_path / "run", "metrics=calibration")
    cases = read_cases(run.cases)
    counted = {"calibration_error", "brier", "log_loss", "auroc", "pixel_average_precision"}
    assert set(cases["metric"]) == {"dice", "iou", *counted}
    assert cases[cases["metric"] == "brier"]["value"].between(0, 1).all()
    assert run.record["metrics"]["log_loss"] == "smaller"
