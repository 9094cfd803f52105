"""The direction of a metric, and the criterion that chooses a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Direction = Literal["larger", "smaller"]

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


@dataclass(frozen=True)
class Criterion:
    """The mean of metrics over the validation cases, by which checkpoints, settings and trials are chosen.

    A score that is no finite number, as where there is nothing to score, is never better than another.

    Attributes:
        metrics: their names.
        direction: of all of them.
    """

    metrics: tuple[str, ...] = ("dice",)
    direction: Direction = "larger"

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Criterion:
        """Return the criterion that a run records; runs of earlier versions were chosen by Dice."""
        recorded: Mapping[str, Direction] = record.get("chosen_by") or {"dice": "larger"}
        return cls(tuple(recorded), next(iter(recorded.values())))

    @property
    def as_json(self) -> dict[str, Direction]:
        """The entry `chosen_by` of run.json."""
        return dict.fromkeys(self.metrics, self.direction)

    @property
    def key(self) -> str:
        """The name of the score in the curves, below `validation/` and `train/`."""
        return self.metrics[0] if len(self.metrics) == 1 else "score"

    @property
    def label(self) -> str:
        """The name of the score in a text."""
        return self.metrics[0] if len(self.metrics) == 1 else f"mean of {' and '.join(self.metrics)}"

    @property
    def mode(self) -> Literal["max", "min"]:
        """The direction as callbacks and schedulers call it."""
        return "max" if self.direction == "larger" else "min"

    def better(self, score: float, other: float) -> bool:
        """Return whether a score is better than another."""
        if not math.isfinite(score):
            return False
        return not math.isfinite(other) or self.sign * score > self.sign * other

    def best(self, scores: Iterable[float]) -> float | None:
        """Return the best of the finite scores, None where there is none."""
        return max(filter(math.isfinite, scores), key=lambda score: self.sign * score, default=None)

    def gap(self, train: float, validation: float) -> float:
        """Return how much better the training cases are scored than the validation cases."""
        return self.sign * (train - validation)

    @property
    def sign(self) -> int:
        """1 where larger is better, -1 where smaller is."""
        return 1 if self.direction == "larger" else -1


def best_score(record: Mapping[str, Any]) -> float | None:
    """Return the validation score of a run's best checkpoint, None where run.json has no finite one."""
    training = record.get("training") or {}
    return finite(training.get("best_score", training.get("best_dice")))  # as earlier versions call it


def finite(score: Any) -> float | None:
    """Return a score, None for what is no finite number."""
    return float(score) if isinstance(score, int | float) and math.isfinite(score) else None
