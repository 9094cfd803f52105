"""The verdict: the better method in one sentence, or that it cannot be said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.scores import MEAN_OF_CLASSES, Row
from segbench.compare.statistics.significance import pairs_needed, smallest_p

LISTED = 3
_P = "p = "


@dataclass(frozen=True)
class Rival:
    """A method that cannot be told apart from the best one, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The claim that the scores allow.

    Attributes:
        best: the method with the smallest rank sum; the first of equals.
        beaten: methods that the best one is better than.
        rivals: methods that it cannot be told apart from.
        sentence: the claim, for a reader.
    """

    best: str
    beaten: tuple[str, ...]
    rivals: tuple[Rival, ...]
    sentence: str

    @property
    def decided(self) -> bool:
        """True if one method is better than all others."""
        return not self.rivals


def judge(comparison: Comparison) -> Verdict:
    """Judge whether the method with the smallest rank sum is better than each of the others.

    It is, where the test on the mean over classes (Wilcoxon, adjusted by Holm) is significant in its favour and the gap
    is larger than what seeds alone explain.
    """
    metric = comparison.settings.metrics[0]
    scores, row = comparison.overall, Row(metric, MEAN_OF_CLASSES)
    number = scores.rows.index(row)
    p, noise = (comparison.matrix(scores, row, column) for column in ("p_holm", "seed_noise"))
    with np.errstate(invalid="ignore"):
        means = np.nanmean(scores.values[number], axis=1) * (1 if scores.larger[number] else -1)
    best, *others = comparison.order
    rivals, beaten = [], []
    for other in others:
        reason = _reason(comparison, best, other, means, p, noise)
        if reason:
            rivals.append(Rival(comparison.methods[other], reason))
        else:
            beaten.append(comparison.methods[other])
    name = comparison.methods[best]
    sentence = _sentence(comparison, best, metric, beaten, rivals)
    tested = any(rival.reason.startswith(_P) for rival in rivals)
    return Verdict(name, tuple(beaten), tuple(rivals), sentence + (_too_few(comparison) if tested else ""))


def _reason(
    comparison: Comparison,
    best: int,
    other: int,
    means: np.ndarray,
    p: np.ndarray | None,
    noise: np.ndarray | None,
) -> str:
    """Return why the best cannot be called better than another method; empty where it can."""
    if comparison.total.rank_sums[best] == comparison.total.rank_sums[other]:
        return "equal rank sums"
    if p is None or np.isnan(p[best, other]):
        return "not tested"
    if means[best] <= means[other]:
        return "its mean score is no worse"
    if p[best, other] >= comparison.settings.level:
        return f"{_P}{p[best, other]:.2g}"
    gap = means[best] - means[other]
    if noise is not None and gap < noise[best, other]:
        return f"the gap of {gap:.3g} is within the seed noise of {noise[best, other]:.3g}"
    return ""


def _sentence(comparison: Comparison, best: int, metric: str, beaten: list[str], rivals: list[Rival]) -> str:
    total = comparison.total
    first = f", first in {100 * total.first[best]:.0f} % of the resamples" if np.isfinite(total.first[best]) else ""
    name = f"'{comparison.methods[best]}' has the smallest rank sum ({total.rank_sums[best]:g}{first})"
    what = f"its {metric.replace('_', ' ')}"
    if not rivals:
        others = f"each of the other {len(beaten)} methods" if len(beaten) > 1 else f"'{beaten[0]}'"
        return f"{name}, and {what} is significantly better than that of {others}."
    shown = "; ".join(f"'{rival.name}' ({rival.reason})" for rival in rivals[:LISTED])
    more = f" and {len(rivals) - LISTED} more" if len(rivals) > LISTED else ""
    surely = f" It is significantly better than {len(beaten)} of {len(beaten) + len(rivals)} others." if beaten else ""
    return f"It cannot be said which method is best: {name}, but cannot be told apart from {shown}{more}.{surely}"


def _too_few(comparison: Comparison) -> str:
    """A sentence where no test could have been significant, whatever the scores are; otherwise empty."""
    scores, level = comparison.overall, comparison.settings.level
    row = Row(comparison.settings.metrics[0], MEAN_OF_CLASSES)
    n, p = (comparison.matrix(scores, row, column) for column in ("n", "p"))
    if n is None or p is None:
        return ""
    most, tests = int(np.nanmax(n)), int(np.count_nonzero(~np.isnan(p))) // 2
    smallest = smallest_p(most)
    if not most or tests * smallest < level:
        return ""
    units = "cases" if scores.units is None else "groups"
    adjusted = f", {min(1.0, tests * smallest):.2g} adjusted for {tests} pairs of methods" if tests > 1 else ""
    return (
        f" No signed-rank test of {most} {units} can be significant at {level:g}: its smallest possible p is"
        f" {smallest:.2g}{adjusted}; it takes {pairs_needed(level, tests)} {units} or more."
    )
