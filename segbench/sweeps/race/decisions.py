"""The decisions of a race: which methods are surely in, surely out, and still undecided."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segbench.compare.statistics.sequential import EFFECT, certainly_better
from segbench.errors import UserError

Aim = Literal["winner", "order"] | int

State = Literal["racing", "in", "out", "failed"]


@dataclass(frozen=True)
class Rules:
    """The question of a race, and how sure its answer has to be.

    All claims of a race together are right with the probability `certainty`, however often it is looked at: the
    evidence for each has to reach the number of claims that could be wrong, over 1 - certainty (Bonferroni).

    Attributes:
        decide: "winner"; a number k: which are the best k; "order": the order of all.
        certainty: the probability that nothing wrong is claimed.
        effect: see `sequential.e_values`.
    """

    decide: Aim = "winner"
    certainty: float = 0.95
    effect: float = EFFECT

    def states(self, scores: np.ndarray, failed: Collection[int] = ()) -> list[State]:
        """The knowledge of each method.

        Args:
            scores: (methods, blocks) in the order of the race, larger is better, NaN where there is no run.
            failed: methods that cannot go on.

        Returns:
            "in": surely among the best k (of an order: its place is known). "out": surely not. "failed": as given.

        """
        alive = [number for number in range(len(scores)) if number not in failed]
        better = self.better(scores)[np.ix_(alive, alive)]
        known = dict(
            zip(alive, self._of_order(better) if self.decide == "order" else self._of_best(better), strict=True)
        )
        return [known.get(number, "failed") for number in range(len(scores))]

    def racers(self, scores: np.ndarray, failed: Collection[int] = ()) -> list[int]:
        """The methods that run next: the undecided ones, and of the best those that somebody has to be held against.

        Args:
            scores: see `states`.
            failed: see `states`.
        """
        states, better = self.states(scores, failed), self.better(scores)
        racing = [number for number, state in enumerate(states) if state == "racing"]
        undecided = ~(better | better.T)
        needed = [number for number, state in enumerate(states) if state == "in" and undecided[number, racing].any()]
        return sorted(racing + needed) if racing else []

    def check(self, methods: int) -> None:
        """Check that there are more methods than places.

        Raises:
            UserError: where there are not.
        """
        if self.places >= methods:
            raise UserError(f"hydra.sweeper.decide={self.decide}: must be below the number of methods, {methods}")

    @property
    def places(self) -> int:
        """The number of methods that are sought; 0 where the order of all is."""
        return {"winner": 1, "order": 0}[self.decide] if isinstance(self.decide, str) else self.decide

    def _of_best(self, better: np.ndarray) -> list[State]:
        lost, won = better.sum(axis=0), better.sum(axis=1)
        out = lost >= self.places
        all_left = (~out).sum() <= self.places
        sure = ~out & (all_left | (won >= len(better) - self.places))
        return ["out" if is_out else "in" if is_in else "racing" for is_out, is_in in zip(out, sure, strict=True)]

    @staticmethod
    def _of_order(better: np.ndarray) -> list[State]:
        known = better | better.T | np.eye(len(better), dtype=bool)
        return ["in" if all(row) else "racing" for row in known]

    def better(self, scores: np.ndarray) -> np.ndarray:
        """(methods, methods) bool: the row's method is surely better than the column's."""
        methods = len(scores)
        alpha = (1 - self.certainty) / self._claims(methods)
        result = np.zeros((methods, methods), dtype=bool)
        for i in range(methods):
            for j in range(methods):
                differences = scores[i] - scores[j]
                result[i, j] = certainly_better(differences[np.isfinite(differences)], alpha, self.effect)
        return result

    def _claims(self, methods: int) -> int:
        """The number of claims that could be wrong: that a method beats the winner, or else one for each pair."""
        return methods - 1 if self.decide == "winner" else math.comb(methods, 2)
