"""The scores of a case's probabilities, counted while it is predicted: nothing of them is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from segbench.data.case import IGNORE
from segbench.data.labels.region_classes import RegionClasses, region_masks
from segbench.evaluation.segmenting import SURE
from segbench.metrics.probabilities import ProbabilityCounts
from segbench.metrics.score import Score

ProbabilityMetric = Callable[[ProbabilityCounts], float]


class ProbabilityScores:
    """The counts of all classes (or regions) of one case.

    Args:
        label: reference class of each pixel (*S), 255 = ignore.
        classes: names by index, of the head `mask`.
        regions: by name, of the head `regions`.
        background: the class left out, or None.

    Attributes:
        seconds: that the counting took.
    """

    def __init__(
        self, label: np.ndarray, classes: Sequence[str], regions: RegionClasses, background: int | None
    ) -> None:
        self.label = label
        self.classes = [(index, name) for index, name in enumerate(classes) if index != background]
        self.regions = regions
        self.background = background
        self.seconds = 0.0
        self._counts: dict[str, ProbabilityCounts] = {}
        self._seen = np.zeros(label.shape, bool)
        self._width = len(classes)

    def see(self, place: tuple[slice, ...], logits: Mapping[str, Tensor]) -> None:
        """Count the logits (K, *P) of each head in a part of the case."""
        start = time.perf_counter()
        self._seen[place] = True
        for name, share, rest, truth, decided in self._parts(logits, self.label[place]):
            counts = self._counts.setdefault(name, ProbabilityCounts())
            counts.add(share, rest, truth)
            counts.n_pred += int(np.count_nonzero(decided))
        self.seconds += time.perf_counter() - start

    def scores(self, metrics: Mapping[str, ProbabilityMetric]) -> list[Score]:
        """A score for each class (or region) and metric; what was not predicted counts as background."""
        self._count_unseen()
        return [
            Score(name, metric, float(function(counts)), counts.positives, counts.n_pred)
            for name, counts in self._counts.items()
            for metric, function in metrics.items()
        ]

    def _parts(
        self, logits: Mapping[str, Tensor], label: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Name, log-probability, that of the rest, truth, and decision at the scored pixels, one class at a time."""
        scored = label != IGNORE
        if "regions" in logits:
            truth = region_masks(label, self.regions)
            for index, name in enumerate(self.regions):
                values = logits["regions"][index].float()
                decided = _numbers(values > 0, scored)
                yield (name, _numbers(logsigmoid(values), scored), _numbers(logsigmoid(-values), scored),
                       truth[index][scored], decided)  # fmt: skip
        elif "mask" in logits:
            values = logits["mask"].float()
            total, best = values.logsumexp(0), values.argmax(0)
            for index, name in self.classes:
                others = [k for k in range(len(values)) if k != index]
                rest = values[others].logsumexp(0) - total
                yield (name, _numbers(values[index] - total, scored), _numbers(rest, scored),
                       label[scored] == index, _numbers(best == index, scored))  # fmt: skip

    def _count_unseen(self) -> None:
        """Count what was cut off before the prediction, all at once: its probabilities are equal."""
        label = self.label[~self._seen]
        label = label[label != IGNORE]
        if not len(label):
            return
        if self.classes[0][1] in self._counts:
            logits = torch.zeros(self._width, 1)
            if self.background is not None:
                logits[self.background] = SURE
            heads = {"mask": logits}
        else:
            heads = {"regions": torch.full((len(self.regions), 1), -SURE)}
        for value, count in zip(*np.unique(label, return_counts=True), strict=True):
            for name, share, rest, truth, _ in self._parts(heads, np.array([value])):
                self._counts[name].add(share, rest, truth, np.array([count]))
        self._seen[:] = True


def _numbers(values: Tensor, scored: np.ndarray) -> np.ndarray:
    """The values (*P) at the scored pixels (N,)."""
    return np.asarray(values.cpu().numpy()[scored])
