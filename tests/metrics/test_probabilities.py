"""Calibration and ranking of probabilities against scikit-learn and torchmetrics, and counted in parts."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

from segbench.metrics import probabilities
from segbench.metrics.direction import direction_of
from segbench.metrics.probabilities import ProbabilityCounts


def drawn(seed: int, pixels: int = 5000, sharp: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and truth, which they tell something of."""
    rng = np.random.default_rng(seed)
    logits = sharp * rng.normal(0, 3, pixels)
    return logits, rng.random(pixels) < 1 / (1 + np.exp(-logits / 2))


def counted(logits: np.ndarray, truth: np.ndarray, parts: int = 1) -> ProbabilityCounts:
    counts = ProbabilityCounts()
    for part in np.array_split(np.arange(len(truth)), parts):
        counts.add(-np.logaddexp(0, -logits[part]), -np.logaddexp(0, logits[part]), truth[part])
    return counts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("parts", [1, 7])
def test_other_libraries_find_the_same(seed, parts):
    logits, truth = drawn(seed)
    share = 1 / (1 + np.exp(-logits))
    counts = counted(logits, truth, parts)
    expected = binary_calibration_error(torch.from_numpy(share), torch.from_numpy(truth.astype(int)), n_bins=15)
    assert probabilities.calibration_error(counts) == pytest.approx(float(expected), abs=1e-6)
    assert probabilities.brier(counts) == pytest.approx(brier_score_loss(truth, share))
    assert probabilities.log_loss(counts) == pytest.approx(log_loss(truth, share))
    assert probabilities.auroc(counts) == pytest.approx(roc_auc_score(truth, logits), abs=1e-4)
    assert probabilities.pixel_average_precision(counts) == pytest.approx(
        average_precision_score(truth, logits), abs=1e-3
    )


def test_probabilities_beyond_those_of_float_are_ranked_still():
    logits, truth = drawn(3, sharp=4)  # beyond 1 - 1e-7, where probabilities in float32 are equal
    assert probabilities.auroc(counted(logits, truth)) == pytest.approx(roc_auc_score(truth, logits), abs=1e-4)


def test_ties_count_half():
    logits, truth = np.array([1.0, 1, 1, -2]), np.array([True, False, True, False])
    counts = counted(logits, truth)
    assert probabilities.auroc(counts) == roc_auc_score(truth, logits) == 0.75
    assert probabilities.pixel_average_precision(counts) == pytest.approx(average_precision_score(truth, logits))


def test_weights_stand_for_pixels():
    logits, truth = drawn(1, 50)
    repeats = np.arange(50) % 4
    counts = ProbabilityCounts()
    counts.add(-np.logaddexp(0, -logits), -np.logaddexp(0, logits), truth, repeats)
    whole = counted(np.repeat(logits, repeats), np.repeat(truth, repeats))
    for name in ("calibration_error", "brier", "log_loss", "auroc", "pixel_average_precision"):
        assert getattr(probabilities, name)(counts) == pytest.approx(getattr(probabilities, name)(whole))


def test_what_is_not_defined():
    empty, absent = ProbabilityCounts(), counted(np.array([1.0, -1.0]), np.array([False, False]))
    for name in ("calibration_error", "brier", "log_loss", "auroc", "pixel_average_precision"):
        assert np.isnan(getattr(probabilities, name)(empty))
    assert np.isnan(probabilities.auroc(absent))
    assert np.isnan(probabilities.pixel_average_precision(absent))
    assert probabilities.brier(absent) > 0


def test_directions():
    ways = {name: direction_of(getattr(probabilities, name)) for name in ("brier", "log_loss", "auroc")}
    assert ways == {"brier": "smaller", "log_loss": "smaller", "auroc": "larger"}
