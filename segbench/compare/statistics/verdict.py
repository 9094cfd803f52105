"""The verdict: the better method in one sentence, or that it cannot be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from segbench.compare.statistics.comparison import Comparison
from segbench.compare.statistics.planning import seeds_needed
from segbench.compare.statistics.scores import ALL_CLASSES
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
        subject: what the claim is of: "methods" where each was trained with several seeds, "trained networks" where
            that is not so, "rows" of a printed table.
    """

    best: str
    beaten: tuple[str, ...]
    rivals: tuple[Rival, ...]
    sentence: str
    subject: str = "methods"

    @property
    def decided(self) -> bool:
        """True if one method is better than all others."""
        return not self.rivals


def judge(comparison: Comparison) -> Verdict:
    """Judge whether the method with the smallest rank sum is better than each of the others.

    It is, where it leads in what methods are ranked by, on the mean over classes, the test of that is significant
    (adjusted by Holm) and the gap is larger than what seeds alone explain.
    """
    best, *others = comparison.order
    name = comparison.methods[best]
    pairs = _pairs_of(comparison, name)
    rivals, beaten = [], []
    for other in others:
        reason = _reason(comparison, name, best, other, pairs)
        if reason:
            rivals.append(Rival(comparison.methods[other], reason))
        else:
            beaten.append(comparison.methods[other])
    tested = any(_P in rival.reason for rival in rivals)
    sentences = [
        _claim(comparison, best, beaten, rivals),
        _too_few(comparison) if tested else "",
        _relevance(comparison, name, pairs),
        _baseline(comparison),
        _folds(comparison, pairs),
        _seeds(comparison, pairs, rivals),
    ]
    return Verdict(name, tuple(beaten), tuple(rivals), " ".join(filter(None, sentences)), subject(comparison))


def records(lines: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a frame."""
    return [{str(key): value for key, value in line.items()} for line in lines.to_dict("records")]


def subject(comparison: Comparison) -> str:
    """The noun for what is compared; see `Verdict`."""
    if comparison.overall.dataset == ALL_CLASSES:
        return "rows"
    return "methods" if comparison.retrained else "trained networks"


def _pairs_of(comparison: Comparison, method: str) -> dict[str, Mapping[str, Any]]:
    """The lines of the pairs of a method with each other one, on the mean over classes of the first metric."""
    lines = comparison.overall_pairs(comparison.settings.metrics[0])
    with_it = lines[(lines["method"] == method) | (lines["other"] == method)]
    return {line["other"] if line["method"] == method else line["method"]: line for line in records(with_it)}


def _reason(comparison: Comparison, name: str, best: int, other: int, pairs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return why the best cannot be called better than another method; empty where it can."""
    line = pairs.get(comparison.methods[other])
    if comparison.total.rank_sums[best] == comparison.total.rank_sums[other]:
        return "equal rank sums"
    if line is None or np.isnan(line["p_holm"]):
        return "not tested"
    gap, what = abs(line["difference"]), line["statistic"]
    if line["leads"] != name:
        return f"its {what} is better by {gap:.3g}" if line["leads"] else f"equal in the {what}"
    if line["within_seed_noise"]:
        return f"the gap of {gap:.3g} is within the seed noise of {line['seed_noise']:.3g}"
    if line["better"] != name:
        return f"ahead by {gap:.3g}, {_P}{line['p_holm']:.2g}"
    return ""


def _claim(comparison: Comparison, best: int, beaten: list[str], rivals: list[Rival]) -> str:
    rule, metric = comparison.settings.rule, comparison.settings.metrics[0].replace("_", " ")
    kind = subject(comparison)
    rank_sum = f"{comparison.total.rank_sums[best]:g}{_shares(comparison, best)}"
    name = f"'{comparison.methods[best]}' has the smallest rank sum ({rank_sum})"
    what = f"its {rule.statistic}" + (f" {metric}" if rule.statistic != "mean rank" else f" in {metric}")
    where = " on new cases" if kind == "trained networks" else ""
    if not rivals:
        others = f"each of the other {len(beaten)} {kind}" if len(beaten) > 1 else f"'{beaten[0]}'"
        return f"{name}, and {what} is significantly better than that of {others}{where}."
    shown = "; ".join(f"'{rival.name}' ({rival.reason})" for rival in rivals[:LISTED])
    more = f" and {len(rivals) - LISTED} more" if len(rivals) > LISTED else ""
    count = f"{len(beaten)} of {len(beaten) + len(rivals)} others"
    surely = f" It is significantly better than {count}{where}." if beaten else ""
    which = {"methods": "method", "rows": "method", "trained networks": "trained network"}[kind]
    return f"It cannot be said which {which} is best: {name}, but cannot be told apart from {shown}{more}.{surely}"


def _shares(comparison: Comparison, best: int) -> str:
    """The two shares of the resamples, each by its name."""
    first, score = comparison.total.first[best], comparison.best_score[best]
    if not np.isfinite(first):
        return ""
    which = f"{comparison.best_score_is} {comparison.settings.metrics[0].replace('_', ' ')}"
    return f"; smallest in {100 * first:.0f} % of the resamples, {which} in {100 * score:.0f} %"


def _relevance(comparison: Comparison, name: str, pairs: Mapping[str, Mapping[str, Any]]) -> str:
    """The differences that matter, where it was said which do."""
    relevant = comparison.settings.relevant
    if relevant is None:
        return ""
    turned = {"better": "worse", "worse": "better"}
    kinds: dict[str, list[str]] = {}
    for other, line in pairs.items():
        kind = line["relevance"] if line["method"] == name else turned.get(line["relevance"], line["relevance"])
        kinds.setdefault(kind, []).append(f"'{other}'")
    words = {
        "better": "better than",
        "equivalent": "equivalent to",
        "worse": "worse than",
        "undecided": "undecided against",
    }
    parts = [f"{text} {', '.join(kinds[kind])}" for kind, text in words.items() if kind in kinds]
    return f"Counting differences of {relevant:g} and more, '{name}' is {'; '.join(parts)}." if parts else ""


def _baseline(comparison: Comparison) -> str:
    """The methods that differ from the baseline, where there is one; its tests are a family of their own."""
    baseline, level = comparison.settings.baseline, comparison.settings.level
    if baseline is None:
        return ""
    lines = comparison.overall_pairs(comparison.settings.metrics[0])
    lines = lines[lines["p_baseline"].notna()]
    sure = lines[(lines["p_baseline"] < level) & (lines["leads"] != "")]
    others = sure["method"].where(sure["method"] != baseline, sure["other"])
    better = [f"'{name}'" for name in others[sure["leads"] != baseline]]
    worse = [f"'{name}'" for name in others[sure["leads"] == baseline]]
    sides = (("significantly better", better), ("significantly worse", worse))
    parts = [f"{word} {', '.join(names)}" for word, names in sides if names]
    rest = len(lines) - len(sure)
    parts += [f"{rest} cannot be told apart from it"] if rest else []
    return f"Against '{baseline}', adjusted for {len(lines)} comparisons: {'; '.join(parts)}."


def _folds(comparison: Comparison, pairs: Mapping[str, Mapping[str, Any]]) -> str:
    """The test over the folds of a cross-validation against the next method, where there are folds."""
    folds, second = comparison.overall.folds, comparison.methods[comparison.order[1]]
    p = pairs[second]["p_folds"] if second in pairs else np.nan
    if folds is None or np.isnan(p):
        return ""
    count = int(folds.max()) + 1
    return f"Over the {count} folds, whose training cases overlap, p = {p:.2g} against '{second}' (Nadeau and Bengio)."


def _seeds(comparison: Comparison, pairs: Mapping[str, Mapping[str, Any]], rivals: list[Rival]) -> str:
    """The seeds that a claim about methods takes, where there is one of each or they are too few."""
    level = comparison.settings.level
    if subject(comparison) == "trained networks":
        half, whole = (seeds_needed(share, level) for share in (0.5, 1.0))
        return (
            "With one seed each, this is of these trained networks, not of the methods: how much a seed changes is not"
            f" known. If the seeds of a method differ by an SD of half a gap, it takes {half} seeds of each to show the"
            f" gap; if by the gap itself, {whole}."
        )
    close = [pairs[rival.name] for rival in rivals if "seed noise" in rival.reason]
    if not close:
        return ""
    nearest = max(close, key=lambda line: abs(line["difference"]))
    needed = comparison.seeds_for(abs(nearest["difference"]))
    return f"A gap of {abs(nearest['difference']):.3g} takes {needed} seeds of each." if needed else ""


def _too_few(comparison: Comparison) -> str:
    """A sentence where no test could have been significant, whatever the scores are; otherwise empty."""
    lines: pd.DataFrame = comparison.overall_pairs(comparison.settings.metrics[0])
    level, most = comparison.settings.level, int(lines["n"].max())
    tests = int(lines["p"].notna().sum()) * len(comparison.settings.metrics)
    smallest = smallest_p(most)
    if not most or tests * smallest < level:
        return ""
    units = "cases" if comparison.overall.units is None else "groups"
    adjusted = f", {min(1.0, tests * smallest):.2g} adjusted for {tests} tests" if tests > 1 else ""
    return (
        f"No test of {most} {units} can be significant at {level:g}: its smallest possible p is"
        f" {smallest:.2g}{adjusted}; it takes {pairs_needed(level, tests)} {units} or more."
    )
