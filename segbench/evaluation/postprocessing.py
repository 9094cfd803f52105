"""nnU-Net's post-processing (Isensee et al. 2021): only the largest region of a class is kept, where that is better.

It is decided by the cross-validated Dice of all cases, each predicted by the run that did not know it. First for all
foreground classes as one: where the mean Dice rises and that of no class falls. Then, on the outcome, for each class by
itself: where its Dice rises. A case in which prediction and reference both lack a class does not count for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from segbench.data.case import IGNORE
from segbench.errors import UserError, as_line

Pairs = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]
"""A function that gives prediction and reference (*S) of each case, as often as it is called."""


@dataclass(frozen=True)
class Step:
    """A decision.

    Attributes:
        classes: of which, together, only the largest region is kept.
        before: mean Dice of each foreground class without it, by name; None where no case has it.
        after: with it.
        kept: whether it is done.
    """

    classes: tuple[int, ...]
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]
    kept: bool


@dataclass(frozen=True)
class Postprocessing:
    """The changes of a label map after it was predicted.

    Attributes:
        names: of the classes of the runs.
        background: what takes the place of regions that are not kept.
        cases: by which it was decided.
        runs: ids of the runs that predicted them.
        steps: all that was tried, in this order.
    """

    names: tuple[str, ...]
    background: int
    cases: int
    runs: tuple[str, ...]
    steps: tuple[Step, ...]

    def __call__(self, prediction: np.ndarray) -> np.ndarray:
        """The label map (*S) without the regions that are not kept."""
        for step in self.steps:
            if step.kept:
                prediction = keep_largest(prediction, step.classes, self.background)
        return prediction

    def as_text(self) -> str:
        """The content of its file."""
        return json.dumps({"rule": "largest region", **asdict(self)}, indent=2) + "\n"


def keep_largest(prediction: np.ndarray, classes: Sequence[int], background: int) -> np.ndarray:
    """A label map (*S) in which some classes, together, have their largest region alone; corners connect, too.

    Of regions of the same size the first is kept.
    """
    structure = generate_binary_structure(prediction.ndim, prediction.ndim)
    regions, count = label(np.isin(prediction, classes), structure)
    if count < 2:
        return prediction
    largest = 1 + int(np.bincount(regions.ravel())[1:].argmax())
    return np.where((regions > 0) & (regions != largest), prediction.dtype.type(background), prediction)


def decide(pairs: Pairs, names: Sequence[str], background: int, runs: Sequence[str]) -> Postprocessing:
    """Decide of what only the largest region is kept.

    Args:
        pairs: all cases.
        names: of the classes.
        background: the class that is not scored.
        runs: ids of those that predicted the cases.
    """
    foreground = [index for index in range(len(names)) if index != background]
    tried = ([foreground] if len(foreground) > 1 else []) + [[index] for index in foreground]
    steps: list[Step] = []
    count = 0
    for classes in tried:
        so_far = Postprocessing(tuple(names), background, 0, (), tuple(steps[:1] if len(foreground) > 1 else ()))
        scores: list[tuple[list[float], list[float]]] = []
        for predicted, reference in pairs():
            before = so_far(predicted)
            after = keep_largest(before, classes, background)
            scores.append((_dice(before, reference, foreground), _dice(after, reference, foreground)))
        count = len(scores)
        old, new = (_means(np.array([pair[side] for pair in scores])) for side in (0, 1))
        steps.append(
            Step(tuple(classes), _named(names, foreground, old), _named(names, foreground, new),
                 _better(old, new, [foreground.index(index) for index in classes]))
        )  # fmt: skip
    return Postprocessing(tuple(names), background, count, tuple(runs), tuple(steps))


def read_postprocessing(path: Path, classes: Sequence[str]) -> Postprocessing:
    """A decision from its file.

    Args:
        path: the file.
        classes: of the run that predicts.

    Raises:
        UserError: where the file cannot be read or is none, or the classes are others.
    """
    try:
        content: dict[str, Any] = json.loads(path.expanduser().read_text())
        steps = tuple(Step(**{**step, "classes": tuple(step["classes"])}) for step in content["steps"])
        names, facts = tuple(content["names"]), {key: content[key] for key in ("background", "cases")}
        found = Postprocessing(names, **facts, runs=tuple(content["runs"]), steps=steps)
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = getattr(error, "strerror", None) or as_line(error)
        raise UserError(f"postprocessing={path}: is no file of segbench postprocess: {said}") from error
    if found.names != tuple(classes):
        raise UserError(
            f"postprocessing={path}: was decided for the classes {', '.join(found.names)}; the run has"
            f" {', '.join(classes)}"
        )
    return found


def _dice(prediction: np.ndarray, reference: np.ndarray, classes: Sequence[int]) -> list[float]:
    """Dice of each class; NaN where both lack it."""
    known = reference != IGNORE
    size = max(classes) + 1
    both = np.bincount(reference[known & (prediction == reference)].ravel(), minlength=size)
    total = np.bincount(prediction[known].ravel(), minlength=size) + np.bincount(reference[known], minlength=size)
    return [2 * both[index] / total[index] if total[index] else np.nan for index in classes]


def _means(scores: np.ndarray) -> np.ndarray:
    """The mean of each column (cases, classes) over the cases that count; NaN where none does."""
    counted = np.isfinite(scores)
    sums = np.where(counted, scores, 0).sum(axis=0)
    nothing = np.full(scores.shape[1], np.nan)
    return np.asarray(np.divide(sums, counted.sum(axis=0), out=nothing, where=counted.any(axis=0)))


def _better(old: np.ndarray, new: np.ndarray, own: Sequence[int]) -> bool:
    """Return whether the mean of its own classes rises, and none of them falls."""
    new, old = new[own], old[own]
    return bool(np.nansum(new) > np.nansum(old) and not (new < old).any())


def _named(names: Sequence[str], classes: Sequence[int], values: np.ndarray) -> dict[str, float | None]:
    return {names[index]: float(v) if np.isfinite(v) else None for index, v in zip(classes, values, strict=True)}
