"""Scores of methods trained again: seeds drawn from those that were run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segbench.compare.statistics.scores import Scores
from segbench.compare.statistics.ties import Bools


class Retraining:
    """Repetitions of each method, as many as it has, drawn with replacement.

    A mean over S seeds drawn from S varies by (S - 1) / S of the variance between seeds too little, for which the
    deviations are stretched.

    Args:
        scores: with several seeds or without.
        generator: source of randomness.
    """

    def __init__(self, scores: Scores, generator: np.random.Generator) -> None:
        self.scores, self.generator = scores, generator
        if scores.seeds is None:
            return
        run: Bools = np.logical_or.reduce(~np.isnan(scores.seeds), axis=(1, 3))
        self.run = [np.flatnonzero(of_method) for of_method in run.T]
        known = np.where(np.isnan(scores.seeds), 0.0, scores.seeds)
        counts = np.maximum((~np.isnan(scores.seeds)).sum(axis=0), 1)
        self.moved = np.where(np.isnan(scores.seeds), 0.0, known - known.sum(axis=0) / counts)

    def draw(self) -> Scores:
        """The scores of one draw; the same where there is one repetition."""
        if self.scores.seeds is None:
            return self.scores
        shares = np.zeros((len(self.moved), len(self.run)))
        for method, seeds in enumerate(self.run):
            if len(seeds) > 1:
                drawn = self.generator.choice(seeds, len(seeds))
                times = np.bincount(drawn, minlength=len(self.moved))
                shares[:, method] = times / np.sqrt(len(seeds) * (len(seeds) - 1))
        return replace(self.scores, values=self.scores.values + np.einsum("sm,srmn->rmn", shares, self.moved))
